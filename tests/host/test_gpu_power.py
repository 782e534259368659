"""Power limits on a real system with two simulated cards: set, kept over a reboot, corrected, taken back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.edges.rigs import read_rig
from labctl.rig.rig import Host
from roles.gpu_power.host_limits import POWER
from tests.host import simulated_gpus
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

LIMITED: dict[str, object] = {"gpu_power": {"limits": {"rtx-3090": 280}}}
UNIT_NAME, IN_FORCE = "gpu_power: boot unit", "gpu_power: limits in force"
# A real driver keeps a limit in the card; the simulated one in a folder, which the unit's hardening would lock.
_WRITABLE = "[Service]\nRuntimeDirectory=simulated-nvml\nRuntimeDirectoryPreserve=yes\n"
# What udev would do of an event, by its own word, which runs nothing.
_EVENT = """unshare -m sh -euc '
mount -t tmpfs none /sys/devices/system
card=/sys/devices/system/simulated-card
mkdir -p $card && cd $card && echo {vendor} >vendor
printf "DRIVER=nvidia\\nPCI_SLOT_NAME=0000:10:00.0\\n" >uevent
ln -s /sys/bus/pci subsystem && ln -s /sys/bus/pci/drivers/nvidia driver
SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --action={action} $card
'"""


@pytest.fixture(scope="module")
def cards() -> Host:
    """Two RTX 3090 as they come, at 350 W."""
    host = read_rig(str(CHECKOUT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]
    return replace(host, cards=tuple(replace(card, power_limit_watts=None) for card in host.cards))


@pytest.fixture(scope="module")
def aibox(
    throwaway_hosts: ThrowawayHosts, cards: Host, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ThrowawayHost]:
    host = throwaway_hosts.boot("limits")
    simulated_gpus.install(host, "udev")  # a server has it, and this one is bare
    simulated_gpus.plug_in(host, cards, tmp_path_factory.mktemp("nvml"))
    folder = f"/etc/systemd/system/{POWER.name}.d"
    host.run(
        f"mkdir -p {folder} && printf '{_WRITABLE}' >{folder}/simulated.conf".replace("\n", "\\n"), sudo=True
    )
    yield host
    throwaway_hosts.destroy(host)


class Box:
    """The host, and what an inventory wants of it."""

    def __init__(self, host: ThrowawayHost, folder: Path) -> None:
        self.host, self._folder = host, folder

    def labctl(self, verb: str, **data: object) -> Run:
        """`deploy`, `check` or `verify` of this role alone."""
        inventory = write_inventory(self._folder / "home.py", self.host, **data)
        return labctl(verb, inventory, "--only", "gpu_power", "--json")

    def limits(self) -> list[float]:
        """By nvidia-smi's own account."""
        said = self.host.run("nvidia-smi --query-gpu=power.limit --format=csv,noheader,nounits").stdout
        return [float(word) for word in said.split()]


@pytest.fixture
def box(aibox: ThrowawayHost, tmp_path: Path) -> Box:
    return Box(aibox, tmp_path)


def test_what_the_cards_cannot_do_is_refused_before_anything_changes(box: Box) -> None:
    for asked in (
        {"limits": {"rtx-3090": 90}},
        {"limits": {"GPU-00000000": 280}},
        {"limits": {"rtx-3080": 280}},
        {"budget_watts": 199},
    ):
        run = box.labctl("deploy", gpu_power=asked)
        assert run.exit_code == 2, run.stdout + run.stderr
        error = run.host(box.host.name)["error"]
        assert error["stage"] == "prepare"
        assert "nothing was changed" in error["hint"], error
        assert box.limits() == [350, 350]
    assert box.host.run(f"test -e {POWER.path}", check=False).returncode == 1


def test_the_deploy_limits_the_cards_and_the_second_run_changes_nothing(box: Box) -> None:
    assert set(box.labctl("check", **LIMITED).pending(box.host.name, "certain")) >= {UNIT_NAME}
    first = box.labctl("deploy", **LIMITED)
    assert first.exit_code == 0, first.stdout + first.stderr
    assert UNIT_NAME in first.changed(box.host.name)
    assert box.limits() == [280, 280]
    second = box.labctl("deploy", **LIMITED)
    assert (second.exit_code, second.changed(box.host.name)) == (0, set())
    verified = box.labctl("verify", **LIMITED)
    assert verified.exit_code == 0, verified.stdout
    assert {check["status"] for check in verified.host(box.host.name)["checks"]} == {"passed"}


def test_systemd_and_udev_take_the_files_without_a_word(box: Box) -> None:
    verified = box.host.run(f"systemd-analyze verify --man=no {POWER.name} {POWER.resume_name}", sudo=True)
    assert POWER.name not in verified.stdout + verified.stderr, verified.stderr
    box.host.run(f"udevadm verify {POWER.rules_path}", sudo=True)


def test_the_rule_asks_for_the_limits_again_when_the_driver_takes_a_card(box: Box) -> None:
    """By udev's own reading of it, of a card in a folder that is mounted over sysfs: no kernel here tells of one."""
    again = f"/usr/bin/systemctl --no-block try-restart {POWER.name}"
    for action, vendor, asks in (
        ("bind", "0x10de", True),
        ("add", "0x10de", False),
        ("bind", "0x1002", False),
    ):
        said = box.host.run(_EVENT.format(action=action, vendor=vendor), sudo=True)
        assert (again in said.stdout + said.stderr) == asks, said.stdout + said.stderr


def test_a_limit_set_by_hand_is_drift_that_a_deploy_corrects(box: Box) -> None:
    box.host.run(f"nvidia-smi -i {uuid_of(1)} -pl 350", sudo=True)
    assert box.limits() == [280, 350]
    found = box.labctl("check", **LIMITED)
    assert (found.exit_code, found.pending(box.host.name)) == (3, {IN_FORCE: "drift"})
    verified = box.labctl("verify", **LIMITED)
    assert verified.exit_code == 3
    assert f"{uuid_of(1)} has 350.0 W, not 280 W" in verified.stdout
    assert box.labctl("deploy", **LIMITED).changed(box.host.name) == {IN_FORCE}
    assert box.limits() == [280, 280]


def test_a_wake_up_sets_the_limits_again(box: Box) -> None:
    """Nothing sleeps here; what systemd starts when the machine is awake again is started by hand."""
    box.host.run("nvidia-smi -pl 350", sudo=True)
    box.host.run(f"systemctl start {POWER.resume_name} && systemctl start {POWER.name}", sudo=True)
    assert box.limits() == [280, 280]


def test_a_driver_that_takes_many_cards_at_once_does_not_wear_the_units_out(box: Box) -> None:
    """udev asks for a start again once for each card; systemd's own limit is five in ten seconds."""
    for ask in (f"try-restart {POWER.name}", f"start {POWER.resume_name}"):
        box.host.run(f"for card in $(seq 8); do systemctl {ask} || exit 1; done", sudo=True)
    box.host.run(f"systemctl start {POWER.name}", sudo=True)  # waits for what the last of them queued
    assert box.host.run(f"systemctl is-active {POWER.name}").stdout == "active\n"
    assert box.limits() == [280, 280]


def test_the_limits_are_there_after_a_reboot(box: Box) -> None:
    box.host.reboot()
    box.host.run(f"systemctl start {POWER.name}", sudo=True)  # waits for it, should it still be at work
    assert box.limits() == [280, 280]
    assert box.labctl("check", **LIMITED).exit_code == 0
    assert box.host.run(f"systemctl is-active {POWER.name}").stdout == "active\n"


def test_a_card_missing_at_boot_leaves_the_other_limited_and_is_named(box: Box, cards: Host) -> None:
    simulated_gpus.describe_to(box.host, replace(cards, cards=(replace(cards.cards[1], nvlink=()),)))
    box.host.reboot()
    box.host.run(f"systemctl start {POWER.name}", sudo=True)
    assert box.limits() == [280]
    assert box.labctl("deploy", **LIMITED).changed(box.host.name) == set()
    verified = box.labctl("verify", **LIMITED)
    assert verified.exit_code == 3
    (failed,) = (check for check in verified.host(box.host.name)["checks"] if check["status"] == "failed")
    assert uuid_of(0) in failed["reason"]
    simulated_gpus.describe_to(box.host, cards)
    assert box.labctl("deploy", **LIMITED).changed(box.host.name) == {IN_FORCE}


def test_without_the_setting_the_cards_have_their_default_again(box: Box) -> None:
    run = box.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert box.limits() == [350, 350]
    assert box.host.run(f"test -e {POWER.path} || test -e {POWER.rules_path}", check=False).returncode == 1
    assert box.labctl("check").exit_code == 0
    assert box.labctl("verify").exit_code == 0
