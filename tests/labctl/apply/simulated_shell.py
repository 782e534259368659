"""A simulated host behind a shell: the true program runs its transactions, on folders and a systemd of no depth."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.apply import survey_script
from labctl.edges.held_shell import Completed, ConnectionLost, HeldShell
from labctl.edges.host_models import HostModels
from labctl.transaction.layout import TREES
from labctl.transaction.programs import Done
from labctl.transaction.status import status
from tests.labctl.transaction.simulated_host import SimulatedHost

_MADE = {".container": "", ".network": "-network", ".volume": "-volume"}
_START = re.compile(r"systemctl start --no-block '?labctl-transaction@([\w.-]+)\.service")


class PlannedHost(SimulatedHost):
    """One that makes units of networks and volumes, too, and of plain units."""

    def units_on_disk(self, only: str = "*") -> dict[str, str]:
        folder = self.layout.installed("units/x").parent
        found = {
            path.stem + _MADE[path.suffix]: path.read_text()
            for path in sorted(folder.glob("*"))
            if path.suffix in _MADE
        }
        plain = self.layout.installed("systemd/x").parent
        return found | {
            path.name.removesuffix(".service"): path.read_text() for path in sorted(plain.glob("labctl-*"))
        }

    def _generated(self, folder: Path) -> Done:
        units = sorted(path for path in folder.glob("*") if path.suffix in _MADE)
        made = "".join(f"---{path.stem}{_MADE[path.suffix]}.service---\n[Service]\n" for path in units)
        return Done(0, made, "")


@dataclass
class SimulatedShell(HeldShell):
    """Answers what labctl asks of a host. asked: every command. breaks: how often the next look at the journal fails.

    broken_units: those that never get healthy. secrets: by name. models: files of the models folder.
    absent: files of a person's that are not there.
    """

    root: Path
    name: str = "aibox"
    podman: str = "podman version 5.4.2"
    cards: tuple[tuple[str, int, str], ...] = ()
    described: tuple[str, ...] | None = None
    card_users: str = ""
    listeners: str = ""
    cgroups: str = ""
    containers: list[dict[str, Any]] = field(default_factory=list)
    devices: tuple[str, ...] = ("/dev/null", "/dev/serial/by-id/usb-stick", "/dev/ttyACM0")
    card_services: str = ""
    secrets: dict[str, bytes] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    absent: tuple[str, ...] = ()
    running: str | None = None
    cut_off: str | None = None
    breaks: int = 0
    pruned: int = 0
    asked: list[str] = field(default_factory=list)
    images: Iterable[str] | None = None

    def __post_init__(self) -> None:
        free = {uuid: memory for uuid, memory, _ in self.cards}
        self.host = PlannedHost(self.root, free_mib=free)
        self.lines: dict[str, list[str]] = {}

    def close(self) -> None:
        """Nothing is open."""

    def begin(
        self, command: str, timeout_s: float = 120, *, stdin: str | None = None
    ) -> Callable[[], Completed]:
        done = self.run(command, timeout_s, stdin=stdin)
        return lambda: done

    def run(self, command: str, timeout_s: float = 120, *, stdin: str | None = None) -> Completed:
        self.asked.append(command)
        out = self._answer(command, stdin or "")
        return Completed(0, out.encode(), b"")

    @property
    def touched(self) -> bool:
        """Whether anything but questions was asked."""
        return any("stage" in each.split("\n")[-1] or _START.search(each) for each in self.asked)

    def _answer(self, command: str, stdin: str) -> str:
        if command == survey_script.SCRIPT:
            return self._surveyed()
        if started := _START.search(command):
            return self._begin(started[1])
        answers: Mapping[str, Callable[[], str]] = {
            "[ ! -e /var/lib/labctl/generations": lambda: self._packed(command.split("/")[5]),
            "[ ! -e /usr/local/lib": lambda: json.dumps(self._status()),
            "for f in /": lambda: "".join(f"{path}\n" for path in self.absent if path in command),
            "python3 -I -c": lambda: json.dumps(self._secrets(json.loads(stdin))),
        }
        for beginning, answer in answers.items():
            if command.startswith(beginning):
                return answer()
        if " follow " in command:
            return self._follow(command)
        assert command.startswith("sh -c"), command[:80]
        return self._stage(command.rpartition(" ")[2].strip("'"), stdin)

    def _status(self) -> dict[str, Any]:
        at = self.host._workplace()
        found = status(at.layout, at.generations)
        return {**found, "running": self.running, "open": self.cut_off or found["open"]}

    def _surveyed(self) -> str:
        every = self.described if self.described is not None else tuple(card[0] for card in self.cards)
        trees = [
            path
            for place in TREES.values()
            for path in sorted((self.root / place).rglob("*"))
            if path.is_file()
        ]
        shown = {path: f"/{path.relative_to(self.root)}" for path in trees}
        sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {shown[path]}" for path in trees]
        parts = {
            "name": self.name,
            "podman": self.podman,
            "cores": "8",
            "time-zone": "Europe/Berlin",
            "devices": "\n".join(self.devices),
            "secrets": "\n".join(self.secrets),
            "cards": "\n".join(", ".join(map(str, card)) for card in self.cards),
            "card-users": self.card_users,
            "cdi": "\n".join(every),
            "listeners": self.listeners,
            "cgroups": self.cgroups,
            "ours": "",
            "containers": json.dumps(self.containers) if self.containers else "",
            "card-services": self.card_services,
            "units": "\n".join(
                f"{name if name.endswith('.timer') else f'{name}.service'} loaded active running"
                for name in self.host.running
            ),
            "installed": "\n".join(f"{path.stat().st_mode & 0o777:o} {shown[path]}" for path in trees),
            "sums": "\n".join(sums),
            "status": json.dumps(self._status()),
            "generation": self._packed("current"),
            "end": "",
        }
        return "".join(f"\n@@labctl {name}\n{text}\n" for name, text in parts.items())

    def _packed(self, which: str) -> str:
        folder = self.host.layout.generations / which
        if not folder.is_dir():
            return ""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            tar.add(folder.resolve(), ".")
        return base64.b64encode(content.getvalue()).decode()

    def _stage(self, name: str, stdin: str) -> str:
        if name and name != "stage":
            with tarfile.open(fileobj=io.BytesIO(base64.b64decode(stdin)), mode="r:gz") as tar:
                for member in tar.getmembers():
                    content = tar.extractfile(member)
                    if member.name.startswith("stage/") and content:
                        path = self.host.layout.stages / name / member.name.removeprefix("stage/")
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(content.read())
        return ""

    def _begin(self, instance: str) -> str:
        self.host.images = set(self._images())
        self.host.lines = []
        self.host.transact(instance)
        self.lines[instance] = self.host.lines
        return json.dumps({"__CURSOR": "start"})

    def _images(self) -> list[str]:
        if self.images is not None:
            return list(self.images)
        stages = sorted(self.host.layout.stages.rglob("manifest.json"))
        return [each["name"] for path in stages for each in json.loads(path.read_text())["images"]]

    def _follow(self, command: str) -> str:
        instance = command.rpartition(" follow ")[2].split("@")[1].split(".service")[0]
        lines = self.lines.get(instance, [])
        said = [json.dumps({"__CURSOR": str(index), "MESSAGE": line}) for index, line in enumerate(lines)]
        if not self.breaks:
            return "\n".join(["inactive", *said])
        if command.endswith(" start"):  # from the beginning: some of it comes through
            return "\n".join(["active", *said[:2]])
        self.breaks -= 1
        raise ConnectionLost("the connection broke", where=self.name, found="EOFError")

    def _secrets(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "prune":
            self.pruned += 1
            return {"removed": []}
        if request["do"] == "look":
            return {"secrets": [self._told(name) for name in self.secrets], "units": [], "plan": None}
        if request["do"] == "reveal":
            return {"values": {n: base64.b64encode(self.secrets[n]).decode() for n in request["names"]}}
        outcomes, missing = {}, []
        for each in request["secrets"]:
            value = base64.b64decode(each["value"]) if each["value"] is not None else None
            name = each["name"]
            if name in self.secrets and (each["over"] == "nothing" or value in (None, self.secrets[name])):
                outcomes[name] = "kept"
            elif value is None and each["characters"] is None:
                missing.append(name)
            else:
                outcomes[name] = "changed" if name in self.secrets else "made"
                self.secrets[name] = value if value is not None else b"r" * each["characters"]
        return {"missing": missing, "outcomes": outcomes}

    def _told(self, name: str) -> dict[str, Any]:
        second = list(self.secrets).index(name)
        when = f"2026-11-21T17:00:{second:02}Z"
        labels = {"labctl.workload": "ui", "labctl.made": "written"}
        return {"name": name, "labels": labels, "created_at": when, "updated_at": when}


class SimulatedModels(HostModels):
    """The folder of models of a simulated host. A split file is loaded by its first part."""

    def present(self, paths: Collection[str]) -> frozenset[str]:
        return frozenset(paths) & self._there

    def loaded_as(self, places: Mapping[str, str]) -> dict[str, str]:
        return {name: f"{place}.part-1" for name, place in places.items() if f"{place}.part-1" in self._there}

    @property
    def _there(self) -> set[str]:
        assert isinstance(self._shell, SimulatedShell)
        return self._shell.models
