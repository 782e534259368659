"""A simulated host with a generation in force: a systemd that starts and stops, a Podman, a journal. No time passes."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.apply import survey_script
from labctl.edges.held_shell import Completed, HeldShell
from labctl.plan.plan import Plan
from labctl.status.question import UnitNow
from labctl.transaction.manifest import FILE_NAME
from tests.labctl.status.services_in_force import AT, JOB, RUNS, STOPPED, generation

_SHOW = re.compile(r"^section unit-states; systemctl show .*? -- (.*)$", re.MULTILINE)
_POLLS_TO_START = 2


@dataclass
class SimulatedServices(HeldShell):
    """told: what was told to systemd. fails: units that do not come up. secrets: values by name.

    journal: unit and message. turns: for how many looks a unit waits for its turn before it begins.
    """

    plan: Plan
    units: dict[str, UnitNow] = field(default_factory=dict)
    told: list[list[str]] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    journal: list[tuple[str, str]] = field(default_factory=list)
    running: str | None = None
    seconds: float = 0.0
    starting: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    has_generation: bool = True

    def __post_init__(self) -> None:
        self.made = generation(self.plan)
        jobs = {f"labctl-{name}.service" for name, each in self.plan.workloads.items() if each.when}
        for unit in self.made.manifest.units:
            self.units[unit.unit] = JOB if unit.unit in jobs else RUNS

    def close(self) -> None:
        """Nothing is open."""

    def begin(
        self, command: str, timeout_s: float = 120, *, stdin: str | None = None
    ) -> Callable[[], Completed]:
        done = self.run(command, timeout_s, stdin=stdin)
        return lambda: done

    def run(self, command: str, timeout_s: float = 120, *, stdin: str | None = None) -> Completed:
        if command == survey_script.SCRIPT:
            return self._said(self._surveyed())
        if "section answered" in command:
            return self._said(self._answered(command))
        *_, last = command.split("; ")
        words = shlex.split(last)
        match words[0]:
            case "systemctl":
                return self._said(self._systemctl(words))
            case "podman":
                return self._said(self._secret(words))
            case "journalctl":
                return self._said(self._journal_of(words, begins=command != last))
        raise AssertionError(command)

    def _said(self, text: str) -> Completed:
        return Completed(0, text.encode(), b"")

    def _surveyed(self) -> str:
        empty = dict.fromkeys(
            (
                "name",
                "podman",
                "devices",
                "cores",
                "time-zone",
                "secrets",
                "cards",
                "card-users",
                "cdi",
                "listeners",
                "cgroups",
            )
            + (
                "ours",
                "containers",
                "card-services",
                "units",
                "installed",
                "sums",
                "status",
                "generation",
                "end",
            ),
            "",
        )
        files = self.made.manifest.trees
        places = {"units": "etc/containers/systemd/labctl", "systemd": "etc/systemd/system"}
        installed = {path: f"/{places[path.partition('/')[0]]}/{path.partition('/')[2]}" for path in files}
        status = {"current": 1, "generations": [], "open": None, "running": self.running, "last": None}
        parts = {
            **empty,
            "installed": "\n".join(f"{files[path].mode} {place}" for path, place in installed.items()),
            "sums": "\n".join(f"{files[path].sha256}  {place}" for path, place in installed.items()),
            "status": json.dumps(status),
            "generation": self._packed() if self.has_generation else "",
        }
        return "".join(f"\n@@labctl {name}\n{text}\n" for name, text in parts.items())

    def _packed(self) -> str:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for path, data in {**self.made.files, FILE_NAME: self.made.manifest.text().encode()}.items():
                member = tarfile.TarInfo(path)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        return base64.b64encode(content.getvalue()).decode()

    def _answered(self, command: str) -> str:
        asked = _SHOW.search(command)
        self._go_on()
        blocks = [self._block(unit) for unit in shlex.split(asked[1])] if asked else []
        healthy = [
            {"Name": unit.container, "State": {"Health": {"Status": "healthy"}}}
            for unit in self.made.manifest.units
            if unit.container and unit.health == "notify" and self.units[unit.unit].active == "active"
        ]
        parts = {
            "now": str(AT),
            "unit-states": "\n\n".join(blocks),
            "inspected": json.dumps(healthy),
            "answered": "",
        }
        return "".join(f"\n@@labctl {name}\n{text}\n" for name, text in parts.items())

    def _go_on(self) -> None:
        """What starts takes some looks until it runs, or fails."""
        for unit in [each for each in self.starting if not self._waits(each)]:
            self.starting[unit] -= 1
            if self.starting[unit]:
                continue
            del self.starting[unit]
            now = self.units[unit]
            if unit in self.fails:
                self.units[unit] = replace(now, active="failed", sub="failed", result="exit-code")
            elif now.kind != "oneshot":
                self.units[unit] = replace(now, active="active", sub="running")

    def _block(self, unit: str) -> str:
        now = self.units.get(unit, UnitNow("not-found"))
        values: dict[str, Any] = {
            "Id": unit,
            "LoadState": now.load,
            "ActiveState": now.active,
            "SubState": now.sub,
            "Result": now.result,
            "NRestarts": now.restarts,
            "Job": 7 if now.queued else "",
            "Type": now.kind,
            "StateChangeTimestamp": f"@{now.changed_at}",
            "ActiveEnterTimestamp": f"@{now.active_since}",
            "InvocationID": now.invocation,
        }
        return "\n".join(f"{key}={value}" for key, value in values.items())

    def _systemctl(self, words: list[str]) -> str:
        if words[1] == "show":
            return "\n\n".join(self._block(unit) for unit in words[words.index("--") + 1 :])
        if words[1] == "reset-failed":
            return ""
        self.told.append(words[1:])
        for unit in words[words.index("--") + 1 :]:
            now = self.units[unit]
            if words[1] == "stop":
                self.units[unit] = replace(now, active="inactive", sub="dead")
            else:
                self.units[unit] = replace(now, active="inactive", result="success", queued=True)
                self.starting[unit] = _POLLS_TO_START
                if not self.turns.get(unit):
                    self._begin(unit)
        return ""

    def _waits(self, unit: str) -> bool:
        if not self.turns.get(unit):
            return False
        self.turns[unit] -= 1
        if not self.turns[unit]:
            self._begin(unit)
        return True

    def _begin(self, unit: str) -> None:
        now = self.units[unit]
        self.units[unit] = replace(
            now, active="activating", sub="start", queued=False, invocation=f"{now.invocation}+"
        )

    def _secret(self, words: list[str]) -> str:
        if words[2] == "ls":
            return "\n".join(self.secrets)
        return json.dumps([{"SecretData": value} for value in self.secrets.values()])

    def _journal_of(self, words: list[str], *, begins: bool) -> str:
        units = {word.removeprefix("--unit=") for word in words if word.startswith("--unit=")}
        after = next((word.partition("=")[2] for word in words if word.startswith("--after-cursor")), None)
        most = next((int(word.partition("=")[2]) for word in words if word.startswith("--lines=")), None)
        rows = [
            {"__CURSOR": str(index), "__REALTIME_TIMESTAMP": str(AT * 10**6 + index), "_SYSTEMD_UNIT": unit,
             "MESSAGE": message}
            for index, (unit, message) in enumerate(self.journal)
            if unit in units and (after is None or index > int(after))
        ]  # fmt: skip
        rows = rows if most is None else rows[-most:] if most else []
        if not begins:
            return "\n".join(str(row["MESSAGE"]) for row in rows)
        last = {"__CURSOR": str(len(self.journal) - 1)}
        return "\n".join(json.dumps(row) for row in ([last] if self.journal else []) + rows)


def stopped(shell: SimulatedServices, *names: str) -> None:
    """Stop units of these workloads and containers, as if long ago."""
    for name in names:
        shell.units[f"labctl-{name}.service"] = STOPPED
