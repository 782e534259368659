"""A host with three small services that a transaction put in place, and ways to change, break and cut it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.edges.held_shell import HeldShell
from labctl.edges.host_transactions import Followed, HostTransactions
from labctl.edges.shell_streams import ProcessStreams
from labctl.edges.transaction_program import unit_of
from labctl.transaction.layout import TARGET
from labctl.transaction.manifest import Image, ManagedUnit, Manifest, staged_file
from tests.host.converged import IMAGE
from tests.host.throwaway_host import ThrowawayHost

NETWORK = "lab"
WEB, DATA, IDLE = "web", "data", "idle"
THREE = {WEB: "1", DATA: "1", IDLE: "1"}
NEVER_HEALTHY = "never healthy"
ENDS = "ends"
_START_SECONDS = 60
NO_UNIT_OPEN = (
    "until [ -z \"$(systemctl list-units --no-legend --state=activating,deactivating 'labctl-transaction*')\" ] && "
    "[ -z \"$(systemctl list-jobs --no-legend 'labctl-transaction*')\" ]; do sleep 0.2; done"
)
_UNIT = """[Unit]
Description={name}, version {version}

[Container]
ContainerName={name}
Image={image}
Network={network}.network
Volume=/usr:/usr:ro
Volume=/srv/{name}:/srv
WorkingDir=/srv
Environment=VERSION={version}
Exec=/usr/bin/python3 -m http.server 80
HealthCmd={health}
HealthInterval=3s
HealthRetries=3
Notify=healthy
StopTimeout=1

[Service]
Restart=on-failure
RestartSec=1

[Install]
WantedBy={target}
"""


def generation(
    services: Mapping[str, str], *, images: tuple[str, ...] = (), start_seconds: int = _START_SECONDS
) -> tuple[Manifest, dict[str, bytes]]:
    """A generation of services by name, each with its version."""
    contents = {
        f"units/{NETWORK}.network": f"[Network]\nNetworkName={NETWORK}\n".encode(),
        "plan.json": b"{}\n",
    }
    for name, version in services.items():
        contents[f"units/{name}.container"] = _unit(name, version).encode()
    network = ManagedUnit(
        NETWORK,
        f"{NETWORK}-network.service",
        (f"units/{NETWORK}.network",),
        kind="network",
        health="notify",
        network=NETWORK,
    )
    units = [
        ManagedUnit(
            name,
            f"{name}.service",
            (f"units/{name}.container", f"units/{NETWORK}.network"),
            after=(network.unit,),
            health="notify",
            container=name,
            start_timeout_seconds=start_seconds,
            stop_timeout_seconds=3,
        )
        for name in services
    ]
    files = tuple(staged_file(path, content) for path, content in contents.items())
    return Manifest(files, (network, *units), tuple(Image(name) for name in (IMAGE, *images))), contents


def _unit(name: str, version: str) -> str:
    health = "/usr/bin/false" if version == NEVER_HEALTHY else "/usr/bin/true"
    text = _UNIT.format(
        name=name,
        version=version.replace(" ", "-"),
        image=IMAGE,
        network=NETWORK,
        health=health,
        target=TARGET,
    )
    return text.replace("python3 -m http.server 80", "false") if version == ENDS else text


@dataclass
class TransactionLab:
    """A host, and the client's side of its transactions. lines: what was followed last."""

    host: ThrowawayHost
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host.console_run(f"mkdir -p {' '.join(f'/srv/{name}' for name in THREE)}")

    def client(self) -> HostTransactions:
        """A client with a connection of its own."""
        return HostTransactions(
            self.host.name, HeldShell(self.host.name, self._start, sudo=True, password=lambda: None)
        )

    def apply(self, services: Mapping[str, str], **how: Any) -> Followed:
        """Stage, start and follow to the end."""
        return self.follow(*self.begin(services, **how))

    def begin(self, services: Mapping[str, str], **how: Any) -> tuple[str, str]:
        """Stage and start; what to follow, and from where."""
        client = self.client()
        instance = client.stage(*generation(services, **how))
        return instance, client.start(instance)

    def go(self, instance: str) -> Followed:
        """Roll back and follow."""
        return self.follow(instance, self.client().start(instance))

    def follow(self, instance: str, since: str = "") -> Followed:
        """Follow to the end."""
        self.lines = []
        return self.client().follow(instance, self.lines.append, since)

    def started(self) -> dict[str, str]:
        """When each container that runs was started, by name."""
        listed = self.host.console_run("podman ps --format json").stdout
        return {str(each["Names"][0]): str(each["StartedAt"]) for each in json.loads(listed)}

    def running(self) -> dict[str, str]:
        """The version of each container that runs and is healthy, by name."""
        names = self.host.console_run("podman ps --format '{{.Names}}'").stdout.split()
        if not names:
            return {}
        seen = json.loads(self.host.console_run(f"podman inspect {' '.join(names)}").stdout)
        return {
            str(each["Name"]): next(
                value.removeprefix("VERSION=")
                for value in each["Config"]["Env"]
                if value.startswith("VERSION=")
            )
            for each in seen
            if each["State"]["Health"]["Status"] == "healthy"
        }

    def on_disk(self) -> dict[str, str]:
        """The version in each installed unit, by name."""
        found = self.host.console_run(
            "cd /etc/containers/systemd/labctl 2>/dev/null && grep -H '^Environment=VERSION=' *", check=False
        ).stdout
        rows = [line.split(":Environment=VERSION=") for line in found.splitlines()]
        return {name.removesuffix(".container"): version for name, version in rows}

    def in_force(self) -> dict[str, str]:
        """The same of the generation in force."""
        found = self.host.console_run(
            "cd /var/lib/labctl/generations/current/units && grep -H '^Environment=VERSION=' *", check=False
        ).stdout
        rows = [line.split(":Environment=VERSION=") for line in found.splitlines()]
        return {name.removesuffix(".container"): version for name, version in rows}

    def wait_until_over(self) -> None:
        """No transaction runs, and no recovery."""
        self.host.console_run(NO_UNIT_OPEN, timeout_s=180)

    def is_whole(self, *choices: Mapping[str, str]) -> dict[str, str]:
        """Wait until the host has come to rest; the choice that it is on, in every respect."""
        self.wait_until_over()
        on_disk = self.on_disk()
        assert on_disk in [dict(choice) for choice in choices], on_disk
        assert self.in_force() == on_disk
        self._wait_until(lambda: self.running() == on_disk)
        left = "find /etc/containers/systemd /var/lib/labctl -name '*.labctl-new'; ls -d /var/lib/labctl/transaction"
        assert self.host.console_run(left, check=False).stdout == ""
        return on_disk

    def wait_for_line(self, instance: str, words: str) -> None:
        """Return when the host's transaction says so."""
        said = f"journalctl -q -o cat -b -u '{unit_of(instance)}' | grep -q '{words}'"
        self.host.console_run(f"for i in $(seq 600); do {said} && exit; sleep 0.1; done; exit 1")

    def _wait_until(self, holds: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, (self.running(), self.on_disk())
            time.sleep(0.5)

    def _start(self, program: str) -> ProcessStreams:
        return ProcessStreams(shlex.join(self.host.ssh.argv(program)))
