"""Services in force on a real host: status, logs, start and stop, and the checks of verify, with faults planted.

Podman, systemd and nvidia-smi are real; the cards and what is held of them are simulated, the services stand-ins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.edges.plan_file import read_plan
from labctl.edges.rendering import render_for
from labctl.plan.plan import Plan
from labctl.render.host import HostFacts
from labctl.rig.reported import Process
from labctl.transaction.manifest import Manifest, staged_file
from roles.workloads import checks
from tests.host import simulated_gpus, stand_in_service
from tests.host.complaints import too_wide
from tests.host.converged import IMAGE, converged_layer
from tests.host.deploying import Run, labctl, write_inventory
from tests.host.gpu_box import cards
from tests.host.hosts import ThrowawayHosts
from tests.host.image_registry import let_services_start
from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost
from tests.host.transaction_lab import TransactionLab
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

_FOLDER = "usr/local/lib/labctl-tests"
_STAND_IN = "localhost/labctl/stand-in-service:1"
_ENTRYPOINT = f'ENTRYPOINT ["/usr/bin/python3", "/{_FOLDER}/{Path(stand_in_service.__file__).name}"]'
_CHAT_MIB, _IMAGES_MIB = 1500, 7000
WORKLOADS = {
    "chat": {
        "service": "llama.cpp",
        "model": "qwen2.5-1.5b",
        "context": 4096,
        "image": _STAND_IN,
        "gpus": {"uuids": [uuid_of(0)]},
    },
    "images": {
        "service": "container",
        "image": _STAND_IN,
        "vram_mib": _IMAGES_MIB,
        "ports": [8080],
        "volumes": {"data": "/data"},
        "gpus": {"uuids": [uuid_of(1)]},
    },
}
CDI, _CARDS = "/etc/cdi/nvidia.yaml", "/etc/simulated-nvml"
# With nothing behind them; a container sees those cards whose nodes it was given.
_NODES = (
    "for n in 0 1; do [ -e /dev/nvidia$n ] || mknod -m 666 /dev/nvidia$n c 195 $n; done; "
    "[ -e /dev/nvidiactl ] || mknod -m 666 /dev/nvidiactl c 195 255"
)
_EXTRA_LISTENER = """[Service]
ExecStartPost=/bin/sh -c '/usr/bin/python3 -m http.server 9999 --bind 0.0.0.0 >/dev/null 2>&1 &'
"""


def description(*numbers: int) -> str:
    """Of the cards for containers: the simulated driver's library, and of each card its node and those of `numbers`."""
    devices = [
        {
            "name": uuid_of(number),
            "containerEdits": {
                "deviceNodes": [{"path": f"/dev/nvidia{each}"} for each in sorted({number, *numbers})],
            },
        }
        for number in (0, 1)
    ]
    # What /usr has of nvidia-smi points to these.
    mounts = [_CARDS, "/etc/alternatives", "/etc/ld.so.cache"]
    edits = {
        "deviceNodes": [{"path": "/dev/nvidiactl"}],
        "mounts": [{"hostPath": each, "containerPath": each, "options": ["ro", "bind"]} for each in mounts],
    }
    made = {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": edits}
    return str(yaml.safe_dump(made))


def name(check: Any, workload: str) -> str:
    return f"{check.__doc__} [{workload}]"


@dataclass
class Box:
    """A host with Podman and two simulated cards, and the folder with its inventory."""

    host: ThrowawayHost
    folder: Path

    @property
    def inventory(self) -> Path:
        """The host's."""
        return self.folder / "home.py"

    def root(self, command: str) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.host.console_run(command, timeout_s=180).stdout.strip()


@dataclass
class Services:
    """A host with two stand-in services in force, each on a card of its own."""

    box: Box
    plan: Plan

    def __call__(self, command: str, *arguments: str) -> Run:
        return labctl(command, *arguments, "--inventory", str(self.box.inventory))

    def holding(self, **held_mib: int) -> None:
        """Say what each service holds of its card."""
        by_card: dict[int, list[Process]] = {0: [], 1: []}
        for index, (service, amount) in enumerate(held_mib.items()):
            pid = int(self.box.root(f"systemctl show --value -p MainPID labctl-{service}"))
            by_card[index].append(Process(pid, "/usr/bin/python3", amount))
        simulated_gpus.describe_to(self.box.host, cards(), by_card, nodes=True)

    def status(self) -> tuple[int, dict[str, Any]]:
        run = self("status", "--json")
        (host,) = run.document["hosts"]
        assert host["problem"] is None, host
        return run.exit_code, dict(host)

    def verdicts(self) -> Mapping[str, dict[str, Any]]:
        """Of the checks of services, by name."""
        run = labctl("verify", self.box.inventory, "--only", "workloads", "--json")
        return {each["name"]: each for each in run.host(self.box.host.name)["checks"]}

    def failed(self) -> dict[str, str]:
        """Why, by check."""
        return {name: each["reason"] for name, each in self.verdicts().items() if each["status"] == "failed"}

    def started(self, container: str) -> str:
        return self.box.root(f"podman inspect --format '{{{{.State.StartedAt}}}}' {container}")


def quick(manifest: Manifest, files: Mapping[str, bytes]) -> tuple[Manifest, dict[str, bytes]]:
    """With the host's /usr in every container, as the image has none, and asked for health every second."""
    made = dict(files)
    for path, content in files.items():
        if path.endswith(".container"):
            text = content.decode().replace("[Container]\n", "[Container]\nVolume=/usr:/usr:ro\n", 1)
            made[path] = text.replace("HealthInterval=15s", "HealthInterval=1s").encode()
    assert made != files
    staged = tuple(staged_file(each.path, made[each.path], each.mode) for each in manifest.files)
    return replace(manifest, files=staged), made


def put_in_force(box: Box) -> Services:
    """Place, render and apply the two."""
    box.root(_NODES)
    write(box.host, CDI[1:], description())
    simulated_gpus.describe_to(box.host, cards(), nodes=True)
    write(
        box.host,
        f"{_FOLDER}/{Path(stand_in_service.__file__).name}",
        Path(stand_in_service.__file__).read_text(),
    )
    box.root(
        f"printf '%s\\n' 'FROM {IMAGE}' '{_ENTRYPOINT}' | podman build --quiet -t {_STAND_IN} -f - /srv/labctl-tests"
    )
    workloads, plan_file = box.folder / "workloads.yaml", box.folder / "plan.json"
    workloads.write_text(yaml.safe_dump({"workloads": WORKLOADS}))
    # The driver that Debian's nvidia-smi is of is older than what llama.cpp's true image runs on.
    read, rig_file = labctl("rig", "--inventory", box.inventory), box.folder / "rig.yaml"
    assert simulated_gpus.DRIVER in read.stdout, read.stdout + read.stderr
    rig_file.write_text(read.stdout.replace(simulated_gpus.DRIVER, "580.95.05"))
    placed = labctl("place", workloads, "--rig", rig_file, "--out", plan_file, "--json")
    assert placed.exit_code == 0, placed.stdout + placed.stderr
    plan = read_plan(str(plan_file))
    rendered = render_for(plan, box.host.name, HostFacts())
    lab = TransactionLab(box.host)
    client = lab.client()
    instance = client.stage(*quick(rendered.manifest, rendered.files))
    followed = lab.follow(instance, client.start(instance))
    assert followed.outcome == "done", (followed.document, lab.lines)
    made = Services(box, plan)
    made.holding(chat=_CHAT_MIB, images=_IMAGES_MIB)
    return made


@pytest.fixture(scope="module")
def services(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    host = throwaway_hosts.boot("inforce", layer=converged_layer(throwaway_hosts))
    box = Box(host, tmp_path_factory.mktemp("inforce"))
    write_inventory(box.inventory, host)
    simulated_gpus.plug_in(host, cards(), box.folder)
    let_services_start(host)
    yield put_in_force(box)
    throwaway_hosts.destroy(box.host)


def test_status_holds_what_is_held_against_the_estimate(services: Services, tmp_path: Path) -> None:
    code, host = services.status()
    assert (code, host["as_planned"], host["generation"]) == (0, True, 1), host
    chat, images = host["workloads"]
    claim = services.plan.workloads["chat"].cards[0]
    assert (chat["state"], chat["health"], round(chat["tokens_per_second"])) == ("running", "healthy", 40)
    assert chat["gpus"] == [
        {
            "gpu": uuid_of(0),
            "held_mib": _CHAT_MIB,
            "low_mib": claim.low_mib,
            "expected_mib": claim.expected_mib,
            "claim_mib": claim.high_mib,
            "above_claim_mib": 0,
        }
    ]
    assert (images["state"], images["health"], images["tokens_per_second"]) == ("running", None, None)
    services.holding(chat=_CHAT_MIB, images=_IMAGES_MIB + 600)
    code, host = services.status()
    assert code == 3
    assert [(each["kind"], each["unit"]) for each in host["drift"]["units"]] == [
        ("above_claim", "labctl-images.service")
    ]
    assert host["workloads"][1]["gpus"][0]["above_claim_mib"] == 600
    text = services("status", "--save-measured", str(tmp_path / "measured.yaml"))
    assert "Write `vram_mib: 7936` under images" in " ".join(text.stdout.split())
    assert too_wide(text.stdout) == []
    assert f'"total_mib": {_CHAT_MIB}' in (tmp_path / "measured.yaml").read_text()
    services.holding(chat=_CHAT_MIB, images=_IMAGES_MIB)


def test_drift_is_named_and_nothing_else(services: Services) -> None:
    unit = "/etc/containers/systemd/labctl/labctl-chat.container"
    services.box.root(f"cp -p {unit} /root/kept; echo '# by hand' >>{unit}")
    code, host = services.status()
    assert (code, host["drift"]["edited"], host["drift"]["missing"]) == (
        3,
        ["units/labctl-chat.container"],
        [],
    )
    services.box.root(f"mv /root/kept {unit}")


def test_logs_are_the_services_own(services: Services) -> None:
    run = services("logs", "chat")
    assert run.exit_code == 0, run.stderr
    assert run.stdout.count("stand-in begins: --host 0.0.0.0") == 1, run.stdout
    assert services("logs", "images", "--lines", "0").stdout == ""
    unknown = services("logs", "chatt")
    assert (unknown.exit_code, "expected chat" in unknown.stderr) == (2, True)


def test_stop_start_and_restart(services: Services) -> None:
    before = {each: services.started(f"labctl-{each}") for each in WORKLOADS}
    stopped = services("stop", "chat")
    assert (stopped.exit_code, "chat stopped on" in stopped.stdout) == (0, True), stopped
    assert "is stopped already" in services("stop", "chat").stdout
    code, host = services.status()
    assert (code, host["workloads"][0]["state"], host["workloads"][1]["state"]) == (3, "stopped", "running")
    (reason,) = services.failed().items()
    assert reason == (name(checks.test_runs, "chat"), "it is stopped")
    started = services("start", "chat", "--json")
    assert (started.exit_code, started.document["workloads"][0]["outcome"]) == (0, "started"), started
    assert services.box.root("systemctl is-active labctl-chat") == "active"
    assert "chat runs already" in services("start", "chat").stdout
    between = services.started("labctl-chat")
    restarted = services("restart", "chat")
    assert (restarted.exit_code, "healthy: chat" in restarted.stdout) == (0, True), restarted
    assert len({before["chat"], between, services.started("labctl-chat")}) == 3
    assert services.started("labctl-images") == before["images"]
    services.holding(chat=_CHAT_MIB, images=_IMAGES_MIB)


def test_verify_has_a_line_for_each_check_of_each_service(services: Services) -> None:
    found = services.verdicts()
    assert set(found) == {
        *(name(check, workload) for workload in WORKLOADS for check in (checks.test_runs, checks.test_cards)),
        *(
            name(check, workload)
            for workload in WORKLOADS
            for check in (checks.test_answers, checks.test_listens)
        ),
        *(name(checks.test_data, workload) for workload in WORKLOADS),
    }
    assert {each["status"] for each in found.values()} == {"passed"}, found


def test_verify_finds_faults(services: Services) -> None:
    box = services.box
    write(box.host, f"{_FOLDER}/says", "another program")
    write(box.host, CDI[1:], description(0, 1))
    write(box.host, "etc/systemd/system/labctl-images.service.d/mine.conf", _EXTRA_LISTENER)
    box.root("systemctl daemon-reload; systemctl restart labctl-images")
    found = services.failed()
    assert set(found) == {
        name(checks.test_answers, "chat"),
        name(checks.test_cards, "images"),
        name(checks.test_listens, "images"),
    }, found
    port = services.plan.workloads["chat"].ports[0].host
    assert found[name(checks.test_answers, "chat")].startswith(f"127.0.0.1:{port} says “another program”")
    assert found[name(checks.test_cards, "images")] == (
        f"labctl-images sees {uuid_of(0)}, {uuid_of(1)}, not {uuid_of(1)}"
    )
    assert found[name(checks.test_listens, "images")] == "it listens on 0.0.0.0:9999/tcp too"
    box.root(
        f"rm -r /{_FOLDER}/says /etc/systemd/system/labctl-images.service.d; systemctl daemon-reload; "
        "systemctl stop labctl-images; systemctl reset-failed labctl-images || true; podman volume rm images-data"
    )
    assert services.failed() == {
        name(checks.test_runs, "images"): "it is stopped",
        name(checks.test_data, "images"): "volume images-data is not there",
    }
    doctor = labctl("doctor", box.inventory, "--only", "workloads", "--json")
    said = doctor.host(box.host.name)["checks"]
    (stopped,) = [each for each in said if each["check"] == name(checks.test_runs, "images")]
    assert "labctl start" in stopped["fix"]
