"""A host with two simulated cards and Podman, small local services on it, and `labctl apply` as a person runs it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labctl.plan.plan import CardClaim, PlannedPort, PlannedWorkload
from labctl.plan.plan_json import dump
from labctl.rig.reported import Process
from tests.host import simulated_gpus
from tests.host.converged import IMAGE, converged_layer, digest_of_roles
from tests.host.deploying import CHECKOUT, Run, labctl, pyinfra, write_inventory
from tests.host.gpu_box import cards
from tests.host.hosts import ThrowawayHosts
from tests.host.image_registry import let_services_start
from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost
from tests.labctl.plan.plans import host as planned_host
from tests.labctl.plan.plans import plan, runs
from tests.simulated_nvml.description import uuid_of

FULL_MIB = 20000
"""What one of two on a card claims, so that no other has room beside it."""
_FOLDER = "/srv/apply-lab"
PROGRAMS = "/usr/local/lib/apply-lab"
# A container's first process has to listen to SIGTERM, or every stop takes its whole time.
_SERVES = """#!/bin/sh
trap 'exit 0' TERM
/usr/bin/python3 -m http.server 8080 &
wait
"""
_ENDS = """#!/bin/sh
echo this one cannot work
exit 1
"""
_CDI = "\n".join(
    (
        'cdiVersion: "0.6.0"',
        "kind: nvidia.com/gpu",
        "devices:",
        *(f'- {{name: {uuid_of(n)}, containerEdits: {{env: ["SIMULATED_CARD={n}"]}}}}' for n in range(2)),
    )
)
# A service that ends is tried again after five seconds, then less and less often; here at once.
_IMPATIENT = (
    "mkdir -p /etc/systemd/system/labctl-{0}.service.d && "
    "printf '[Service]\\nRestartSec=100ms\\nRestartSteps=0\\nRestartMaxDelaySec=infinity\\n' "
    ">/etc/systemd/system/labctl-{0}.service.d/impatient.conf && systemctl daemon-reload"
)
_BREAK = (
    "for each in /proc/[0-9]*; do case $(cat $each/comm 2>/dev/null) in sshd*) "
    '[ "$(stat -c %U $each)" != {user} ] || kill ${{each#/proc/}} ;; esac; done'
)
_UNITS = (
    "cd /etc/containers/systemd/labctl 2>/dev/null && "
    "ls | sed -e 's/[.]container$/.service/' -e 's/[.]network$/-network.service/' || true"
)


def serves(version: str = "1", *, card: int | None = None, port: int | None = None) -> PlannedWorkload:
    """A small web server, said to fill a card."""
    claim = () if card is None else (CardClaim(uuid_of(card), 0, FULL_MIB, FULL_MIB, FULL_MIB),)
    return runs(
        "container",
        image=IMAGE,
        args=(f"{PROGRAMS}/serves", version),
        data=_FOLDER,
        volumes={"usr": "/usr"},
        cards=claim,
        ports=() if port is None else (PlannedPort(8080, port),),
    )


def ends() -> PlannedWorkload:
    """One that never comes up."""
    return replace(serves(), args=(f"{PROGRAMS}/ends",))


@dataclass
class ApplyLab:
    """The host, and the folder with its inventory and plan."""

    host: ThrowawayHost
    folder: Path

    def __post_init__(self) -> None:
        write_inventory(self.inventory, self.host)
        # The image is made of links into the host's /usr.
        self.host.console_run(f"mkdir -p {_FOLDER}; ln -sfn /usr {_FOLDER}/usr; mkdir -p /etc/cdi")
        self.host.console_run(f"cat >/etc/cdi/nvidia.yaml <<'EOF'\n{_CDI}\nEOF")
        self.host.console_run(f"mkdir -p {PROGRAMS}")
        for name, text in (("serves", _SERVES), ("ends", _ENDS)):
            write(self.host, f"{PROGRAMS[1:]}/{name}", text, mode=0o755)
        let_services_start(self.host)
        self.plug_in()

    @property
    def inventory(self) -> Path:
        """The host's."""
        return self.folder / "home.py"

    @property
    def plan(self) -> Path:
        """What was applied last."""
        return self.folder / "plan.json"

    def plug_in(self, *, held: Mapping[int, int] | None = None, only: Sequence[int] = (0, 1)) -> None:
        """Cards that are there. held: by card, the process that holds all that its service claims."""
        there = cards()
        processes = {n: [Process(pid, "python3", FULL_MIB)] for n, pid in (held or {}).items()}
        some = replace(there, cards=tuple(card for card in there.cards if card.index in only))
        simulated_gpus.describe_to(self.host, some, processes)

    def write(self, workloads: Mapping[str, PlannedWorkload]) -> Path:
        """The plan of these workloads."""
        there = planned_host(uuid_of(0), uuid_of(1), name=self.host.name)
        here = {name: replace(each, host=self.host.name) for name, each in workloads.items()}
        self.plan.write_text(dump(plan(here, there)))
        return self.plan

    def apply(
        self, workloads: Mapping[str, PlannedWorkload], *options: str | Path, timeout_s: float = 300
    ) -> Run:
        """Run it to its end."""
        return labctl("apply", self.write(workloads), *self._options(), *options, timeout_s=timeout_s)

    def begin(self, workloads: Mapping[str, PlannedWorkload]) -> subprocess.Popen[str]:
        """Begin one, and return while it runs."""
        command = [sys.executable, "-m", "labctl", "apply", str(self.write(workloads)), *self._options()]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=CHECKOUT)

    def rollback(self, *options: str) -> Run:
        """Go back."""
        return labctl("rollback", *self._options(), *options)

    def deploy(self, workloads: Mapping[str, PlannedWorkload]) -> Run:
        """The same by pyinfra itself."""
        data = ("--data", f"plan={self.write(workloads)}")
        return pyinfra("-y", self.inventory, CHECKOUT / "deploy" / "workloads.py", *data)

    def _options(self) -> tuple[str, ...]:
        return "--inventory", str(self.inventory), "--yes", "--json"

    def started(self) -> dict[str, str]:
        """When each unit of what was placed became active, by name."""
        units = self.root(_UNITS)
        if not units:
            return {}
        names = " ".join(units.split())
        shown = self.root(f"systemctl show -p Id,ActiveState,ActiveEnterTimestampMonotonic {names}")
        rows = [dict(line.split("=", 1) for line in each.splitlines()) for each in shown.split("\n\n")]
        return {
            row["Id"].removeprefix("labctl-").removesuffix(".service"): row["ActiveEnterTimestampMonotonic"]
            for row in rows
            if row["ActiveState"] == "active"
        }

    def pid(self, workload: str) -> int:
        """The first process of its container."""
        return int(self.root(f"podman inspect --format '{{{{.State.Pid}}}}' labctl-{workload}"))

    def variable(self, workload: str, name: str) -> str | None:
        """A variable in the environment of what runs."""
        environment = self.root(f"tr '\\0' '\\n' </proc/{self.pid(workload)}/environ").splitlines()
        return next((each.partition("=")[2] for each in environment if each.startswith(f"{name}=")), None)

    def versions(self) -> dict[str, str]:
        """What each container that runs was told to serve."""
        names = self.root("podman ps --format '{{.Names}}'").split()
        found = {}
        for name in names:
            command = self.root(f"podman inspect --format '{{{{join .Config.Cmd \" \"}}}}' {name}")
            found[name.removeprefix("labctl-")] = command.split()[-1]
        return found

    def impatient(self, workload: str) -> None:
        """Let systemd give up soon on a service that ends."""
        self.root(_IMPATIENT.format(workload))

    def break_connections(self) -> None:
        """End the login's connections from the host's side, as a router does that forgets them."""
        self.root(_BREAK.format(user=self.host.user))

    def wait_for(self, words: str) -> None:
        """Until the host's transaction says so."""
        said = f"journalctl -q -o cat -b -t labctl-transaction | grep -qF {shlex.quote(words)}"
        self.root(f"for i in $(seq 600); do {said} && exit; sleep 0.1; done; exit 1")

    def root(self, command: str, *, check: bool = True) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.host.console_run(command, check=check, timeout_s=180).stdout.strip()


def boot_lab(hosts: ThrowawayHosts, folder: Path, name: str = "aibox") -> ApplyLab:
    """A host that was deployed to, whose cards are simulated."""

    def prepare(host: ThrowawayHost) -> None:
        simulated_gpus.plug_in(host, cards(), folder)

    layer = hosts.cached_layer(
        "apply", digest_of_roles(Path(simulated_gpus.__file__)), prepare, above=converged_layer(hosts)
    )
    return ApplyLab(hosts.boot(name, layer=layer), folder)
