"""A systemd unit: enabled, running, and started later than the files it reads."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from labctl.hoststate.files import File
from labctl.hoststate.observation import Observations, UnitSeen
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes


@dataclass(frozen=True)
class Unit:
    """A unit that should be enabled and active.

    `reads` are the files whose change asks for a restart: the unit must have been started after each of them was last
    written. That is a comparison of state, so a run killed between writing and restarting is completed by the next.
    They are given whole, so that a restart for a file that the repository changed counts as news and not as drift.
    `package` is the package that brings the unit and, as Debian's do, enables and starts it on installation.
    `enabled=None` leaves the unit's enablement alone (static and generated units have none).
    """

    name: str
    unit: str
    reads: tuple[File, ...] = ()
    package: str | None = None
    enabled: bool | None = True
    active: bool = True

    def probes(self) -> Probes:
        """The unit, and when the files it reads were last changed."""
        return Probes(paths=frozenset(self._paths), units=frozenset({self.unit}))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Says what is wrong with the unit; only possible when a package that starts it is still to be installed."""
        unit = seen.units[self.unit]
        if unit.load_state == "not-found" and self.package in pending.packages:
            # Debian starts what it installs, with the configuration that is already in place: usually nothing is left.
            return (
                Difference(f"{self.unit} comes with {self.package}", Certainty.POSSIBLE)
                if self._unsettled(pending)
                else None
            )
        reasons = self._reasons(unit, seen, pending)
        return Difference(f"{self.unit} " + ", ".join(reasons)) if reasons else None

    def will_change(self, seen: Observations) -> Pending:
        """The unit itself."""
        return Pending(other=frozenset({self.unit}))

    def action(self, seen: Observations) -> Action:
        """Reload systemd, set enablement, then start, restart or stop; fails with the unit's own last log lines."""
        unit = shlex.quote(self.unit)
        lines = ["set -eu", "systemctl daemon-reload"]
        if self.enabled is True:
            lines.append(f"systemctl unmask {unit}; systemctl enable {unit}")
        elif self.enabled is False:
            lines.append(f"systemctl disable {unit}")
        if self.active:
            lines.append(f"systemctl reset-failed {unit} 2>/dev/null || true")
            lines.append(
                f"systemctl restart {unit} || {{ journalctl -q -n 5 -o cat -u {unit} >&2; exit 1; }}\n"
                # A unit that dies just after its start must not count as started.
                f"sleep 0.3; systemctl -q is-active {unit} || {{ journalctl -q -n 5 -o cat -u {unit} >&2; exit 1; }}"
            )
        else:
            lines.append(f"systemctl stop {unit}")
        return Action("\n".join(lines) + "\n")

    def digest(self) -> str:
        """A hash of the unit's name and wanted state."""
        reads = [part for file in self.reads for part in (file.path, file.sha256)]
        return digest_of([self.unit, str(self.enabled), str(self.active), *reads])

    @property
    def _paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in self.reads)

    def _unsettled(self, pending: Pending) -> bool:
        return bool(pending.paths.intersection(self._paths)) or self.enabled is False or not self.active

    def _reasons(self, unit: UnitSeen, seen: Observations, pending: Pending) -> list[str]:
        reasons = []
        if unit.load_state == "not-found" and not self.active:
            return []
        if unit.load_state == "masked":
            reasons.append("is masked")
        elif self.enabled is not None and (unit.enabled in ("enabled", "enabled-runtime")) != self.enabled:
            reasons.append("is not enabled" if self.enabled else "is enabled")
        if unit.active != self.active:
            reasons.append("is not running" if self.active else "is running")
        elif self.active:
            stale = [path for path in self._paths if _newer(path, unit, seen, pending)]
            if stale:
                reasons.append(f"is older than {stale[0]}")
            elif unit.needs_reload:
                reasons.append("changed on disk")
        return reasons


def _newer(path: str, unit: UnitSeen, seen: Observations, pending: Pending) -> bool:
    file = seen.files[path]
    if path in pending.paths:
        return True
    return file is not None and (unit.active_since is None or file.changed_at > unit.active_since)
