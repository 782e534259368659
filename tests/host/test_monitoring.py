"""Metrics and locked clocks on a real system with two simulated cards: asked for, kept over a reboot, taken back."""

from collections.abc import Iterator
from typing import Any

import pytest

from roles.gpu_tuning.boot_lines import PROGRAM
from roles.gpu_tuning.host_clocks import RECORDS, TUNING
from roles.monitoring.deploy import DROP_IN, PACKAGE, UNIT
from roles.monitoring.gpu_metrics import LINK, PATHS, SERVICE, TIMER
from tests.host import simulated_driver, simulated_gpus
from tests.host.cut_off_run import RunningDeploy
from tests.host.deploying import Run
from tests.host.gpu_box import GpuBox, cards
from tests.host.hosts import ThrowawayHosts
from tests.simulated_nvml.build import build
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

ONLY = ("--only", "monitoring,gpu_tuning")
WANTED: dict[str, dict[str, Any]] = {
    "monitoring": {"enabled": True, "every_seconds": 10},
    "gpu_tuning": {"graphics_mhz": {"rtx-3090": [210, 1400]}, "memory_mhz": {uuid_of(1): [405, 5001]}},
}
IN_FORCE, BOOT_UNIT = "gpu_tuning: locks in force", "gpu_tuning: boot unit"
# A real driver keeps a lock in the card; the simulated one in a folder, which the unit's hardening would lock.
_WRITABLE = (
    f"[Service]\nExecStartPre=+/bin/mkdir -p {simulated_gpus.STATE}\nReadWritePaths=-{simulated_gpus.STATE}\n"
)
_TOOLS = ("curl",)  # of the role base
_METRICS = "curl -fsS http://127.0.0.1:9100/metrics"
_BUSY = "sed -i 's/^utilization .*/utilization 90/' /etc/simulated-nvml"


class Box(GpuBox):
    """The host, and what is asked of the two roles."""

    def run(self, verb: str, **data: Any) -> Run:
        """`deploy`, `check` or `verify` of the two roles."""
        return self.labctl(verb, *ONLY, **data)

    def failed(self, **data: Any) -> dict[str, str]:
        """The checks that fail, and why."""
        checks = self.run("verify", **data).host(self.host.name)["checks"]
        return {each["name"]: each["reason"] for each in checks if each["status"] == "failed"}

    def clocks(self) -> list[str]:
        """Graphics and memory clock of each card, by nvidia-smi's own account."""
        return self.root(
            "nvidia-smi --query-gpu=clocks.gr,clocks.mem --format=csv,noheader,nounits"
        ).splitlines()

    def metrics(self) -> list[str]:
        """Those of the cards, as they are now."""
        self.root(f"systemctl start {SERVICE}")
        return [line for line in self.root(_METRICS).splitlines() if line.startswith("labctl_gpu_")]


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    layer = throwaway_hosts.cached_layer(
        "nvidia-smi", " ".join(_TOOLS), lambda host: simulated_gpus.install(host, *_TOOLS)
    )
    host = throwaway_hosts.boot("metrics", layer=layer)
    library = build(tmp_path_factory.mktemp("nvml")).read_bytes()
    simulated_driver.plug_in(host, cards(), library, loaded=simulated_gpus.DRIVER)
    simulated_driver.write(host, f"etc/systemd/system/{TUNING.name}.d/simulated.conf", _WRITABLE)
    host.console_run(_BUSY)
    yield Box(host, tmp_path_factory.mktemp("inventory"), {"nvidia_driver": {"in_container": True}})
    throwaway_hosts.destroy(host)


def test_what_cannot_be_is_refused_before_anything_changes(box: Box) -> None:
    for asked, words in (
        ({"monitoring": {"enabled": True, "expose": True}}, "no 9100 in firewall.exposed"),
        (
            {**WANTED, "gpu_tuning": {"graphics_mhz": {"rtx-3090": [210, 2500]}}},
            "takes no such graphics clock",
        ),
    ):
        run = box.run("deploy", **asked)
        assert run.exit_code == 2, run.stdout + run.stderr
        assert words in run.stdout
    assert box.root(f"ls {DROP_IN} {TUNING.path} 2>/dev/null; true") == ""


def test_a_deploy_that_is_killed_is_completed_by_the_next(box: Box) -> None:
    with RunningDeploy(box.host, box.inventory(**WANTED), "labctl", *ONLY) as run:
        run.wait_until_ended("monitoring: exporter settings")
        run.wait_until_dpkg_wrote(1)
        run.kill()
    deploy = box.run("deploy", **WANTED)
    assert deploy.exit_code == 0, deploy.stdout + deploy.stderr
    assert BOOT_UNIT in deploy.changed(box.host.name)
    second = box.run("deploy", **WANTED)
    assert (second.exit_code, second.changed(box.host.name)) == (0, set()), second.stdout
    verified = box.run("verify", **WANTED)
    assert verified.exit_code == 0, verified.stdout
    assert {each["status"] for each in verified.host(box.host.name)["checks"]} == {"passed"}


def test_the_exporter_never_listened_but_on_loopback(box: Box) -> None:
    said = box.root(f"journalctl -o cat -u {UNIT} | grep -i 'listening on'").splitlines()
    assert said
    assert all("127.0.0.1:9100" in line for line in said), said


def test_the_cards_are_locked_and_told_of(box: Box) -> None:
    assert box.clocks() == ["1400, 9501", "1400, 5001"]
    metrics = box.metrics()
    assert "labctl_gpu_up 1" in metrics
    assert f'labctl_gpu_graphics_clock_hertz{{uuid="{uuid_of(0)}"}} 1.4e+09' in metrics
    assert f'labctl_gpu_throttled{{reason="sw_power_cap",uuid="{uuid_of(1)}"}} 0' in metrics
    assert box.root(f"systemd-analyze verify --man=no {TUNING.name} {SERVICE} {TIMER} {UNIT} 2>&1") == ""


def test_what_is_changed_by_hand_is_drift_that_a_deploy_corrects(box: Box) -> None:
    box.root(f"nvidia-smi -i {uuid_of(0)} -rgc; systemctl stop {TIMER}; rm {LINK}; echo '#' >>{DROP_IN}")
    check = box.run("check", **WANTED)
    assert check.exit_code == 3
    assert check.pending(box.host.name) == {
        IN_FORCE: "drift",
        "monitoring: exporter settings": "drift",
        "monitoring: exporter": "drift",
        "monitoring: GPU metrics timer": "drift",
        "monitoring: GPU metrics beside the others": "drift",
    }
    assert set(box.failed(**WANTED)) == {
        "each card was locked since boot as asked, and runs at no clock above",
        "what brings metrics runs and starts at boot, or nothing of it is there",
        "the exporter tells of every card, and of what is so now",
    }
    assert box.run("deploy", **WANTED).exit_code == 0
    assert box.clocks() == ["1400, 9501", "1400, 5001"]


def test_a_second_address_and_old_metrics_are_seen(box: Box) -> None:
    other = f"{DROP_IN.rpartition('/')[0]}/60-mine.conf"
    box.root(
        f"printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/{PACKAGE} --no-collector.cpu\\n' >{other}; "
        f"systemctl daemon-reload; systemctl restart {UNIT}; systemctl stop {TIMER}; "
        "sleep 1; touch -d '10 minutes ago' /run/labctl-gpu-metrics/gpu.prom"
    )
    failed = box.failed(**WANTED)
    assert "it listens on *:9100" in failed["the exporter listens on loopback alone, unless it is exposed"]
    assert failed["the exporter tells of the host"] == "no node_cpu_seconds_total"
    assert "s old" in failed["the exporter tells of every card, and of what is so now"]
    box.root(f"rm {other}; systemctl daemon-reload; systemctl restart {UNIT}; systemctl start {TIMER}")


def test_of_a_lost_card_nothing_is_told_and_that_is_told(box: Box) -> None:
    lost = f"{simulated_gpus.STATE}/{uuid_of(0)}.lost"
    box.root(f"touch {lost}")
    metrics = "\n".join(box.metrics())
    assert "labctl_gpu_up 0" in metrics
    assert "labctl_gpu_cards 1" in metrics
    assert uuid_of(0) not in metrics
    assert f'labctl_gpu_temperature_celsius{{uuid="{uuid_of(1)}"}} 36' in metrics
    assert set(box.failed(**WANTED)) == {
        "each card that is to be locked answers",
        "the exporter tells of every card, and of what is so now",
    }
    # The card that is left can be locked, though nvidia-smi knows it by its number alone.
    box.root(f"rm {simulated_gpus.STATE}/{uuid_of(1)}.clock-lock-*; systemctl restart {TUNING.name}")
    assert box.root("nvidia-smi -i 1 --query-gpu=clocks.gr --format=csv,noheader,nounits") == "1400"
    box.root(f"rm {lost}; systemctl restart {TUNING.name}")


def test_it_is_all_still_so_after_a_reboot(box: Box) -> None:
    box.host.reboot()
    box.host.wait_running()
    assert box.clocks() == ["1400, 9501", "1400, 5001"]
    box.root(f"systemctl start {SERVICE}")  # waits for it, should it still be at work
    check = box.run("check", **WANTED)
    assert check.exit_code == 0, check.stdout
    assert box.failed(**WANTED) == {}


def test_without_the_settings_nothing_is_left(box: Box) -> None:
    """Though the cards are being asked right then."""
    slow = f"/run/systemd/system/{SERVICE}.d/slow.conf"
    box.root(
        f"systemctl stop {TIMER} {SERVICE}; mkdir -p $(dirname {slow}); "
        f"printf '[Service]\nExecStartPre=/bin/sleep 80\n' >{slow}; "
        f"systemctl daemon-reload; systemctl start --no-block {SERVICE}"
    )
    run = box.run("deploy")
    box.root(f"rm -r $(dirname {slow}); systemctl daemon-reload")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert box.clocks() == ["1695, 9501", "1695, 9501"]
    left = (DROP_IN, *PATHS, LINK, TUNING.path, TUNING.resume_path, TUNING.rules_path, PROGRAM, RECORDS)
    assert box.root(f"ls -d {' '.join(left)} /run/labctl-gpu-metrics 2>/dev/null; true") == ""
    assert box.root(f"dpkg-query -W -f '${{db:Status-Status}}' {PACKAGE} 2>/dev/null; true") in (
        "",
        "not-installed",
    )
    assert box.root("ss -H -lntp | grep prometheus; systemctl --failed --no-legend --plain") == ""
    assert box.run("deploy").changed(box.host.name) == set()
    assert box.run("verify").exit_code == 0
