"""The unit that sets the limits at every boot, and whatever starts it again; gone when nothing is wanted."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl.edges.templates import render
from labctl.hoststate.condition import Condition
from labctl.hoststate.files import File, Files
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, Resource, digest_of
from labctl.hoststate.survey import Probes, union
from labctl.hoststate.units import Unit
from labctl.power.limits import Wanted
from labctl.power.reading import LimitReading
from roles.gpu_power.boot_lines import BootLine
from roles.gpu_power.host_limits import UNIT, UNIT_FILE, deviates, host_limits, snippets

RESUME_UNIT = "labctl-gpu-power-resume.service"
RESUME_FILE = f"/etc/systemd/system/{RESUME_UNIT}"
RULES_FILE = "/etc/udev/rules.d/72-labctl-gpu-power.rules"
# What every service that computes belongs to; systemd takes wants of a target that is not there yet.
TARGET = "labctl.target"
# Of packages that are about to be installed: those that may bring nvidia-smi.
_DRIVER = ("nvidia", "cuda-drivers", "libnvidia")


@dataclass(frozen=True)
class BootUnit:
    """The unit as the host's own cards ask for it, enabled and run; or, where nothing is wanted, not there.

    Its content is not known before the survey: UUIDs and ranges are asked of the cards.
    """

    wanted: Wanted
    name: str = "boot unit"

    def probes(self) -> Probes:
        """The three files, both units, and what is asked of the cards."""
        parts = (part for lines in ((), None) for part in _parts(lines))
        return union([*(part.probes() for part in parts), Probes(snippets=snippets(self.wanted))])

    @property
    def may_refuse(self) -> bool:
        """Limits are asked for."""
        return bool(self.wanted)

    def refuse(self, seen: Observations) -> None:
        """Raise BadInput for limits that the cards cannot have, before any role changes anything."""
        host_limits(self.wanted, seen.texts)

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when files or units are, or when a card still has a limit that is not wanted any more.

        Raises BadInput for limits that the cards cannot have.
        """
        found = host_limits(self.wanted, seen.texts)
        if self.wanted and not found.lines:
            coming = any(name.startswith(_DRIVER) for name in pending.packages)
            return Difference("asked of the driver once it is there", Certainty.POSSIBLE) if coming else None
        parts = ((part, pending | before) for part, before in self._parts(seen))
        differences = (part.compare(seen, earlier) for part, earlier in parts)
        reasons = [difference.reason for difference in differences if difference]
        reasons += [f"{card.uuid} is not to be limited any more" for card in found.released]
        return Difference("; ".join(reasons[:2])) if reasons else None

    def will_change(self, seen: Observations) -> Pending:
        """The unit: what it sets is settled by its start."""
        return Pending(paths=frozenset({UNIT_FILE}), other=frozenset({UNIT}))

    def action(self, seen: Observations) -> Action:
        """Release what is not to be limited, then bring files and units about.

        The lines of released cards go last: a run that is killed before finds them again.
        """
        found = host_limits(self.wanted, seen.texts)
        if self.wanted and not found.lines:
            return Action("true\n")
        release = set_limits((card, card.default_watts) for card in found.released)
        scripts = [f"released=yes\n(\n{release}) </dev/null || released=no\n"]
        stdin: tuple[str, ...] = ()
        if not found.lines:
            scripts.append(f"systemctl disable --now {UNIT} {RESUME_UNIT} 2>/dev/null || true\n")
        for part, before in self._parts(seen):
            if part.compare(seen, before) is not None:
                action = part.action(seen)
                scripts.append(action.script)
                stdin += action.stdin
        if not found.lines:
            scripts.append(f"systemctl daemon-reload\nsystemctl reset-failed {UNIT} 2>/dev/null || true\n")
        scripts.append("[ $released = yes ]\n")
        return Action("".join(scripts), stdin)

    def digest(self) -> str:
        """A hash of what is asked for and of the files, but for the cards in them."""
        limits = [f"{name} {watts}" for name, watts in sorted(self.wanted.limits.items())]
        files = [part.digest() for part in _parts(() if self.wanted else None)]
        return digest_of([*limits, str(self.wanted.budget_watts), *files])

    def _parts(self, seen: Observations) -> Iterator[tuple[Resource, Pending]]:
        """What it is made of, each with what those before it will change."""
        before = Pending()
        for part in _parts(host_limits(self.wanted, seen.texts).lines if self.wanted else None):
            yield part, before
            if part.compare(seen, before) is not None:
                before |= part.will_change(seen)


def set_limits(limits: Iterable[tuple[LimitReading, float | None]]) -> str:
    """A script (sh) that sets the limits of cards that answer, each whatever becomes of the others.

    It fails at its end when one of them is not what was asked for, and says which.
    """
    lines = ["failed=0"]
    for card, watts in limits:
        if watts is None or not deviates(card, watts):
            continue
        uuid, asked = shlex.quote(card.uuid), f"{watts:g}"
        ask = f"nvidia-smi -i {uuid} --query-gpu=power.limit --format=csv,noheader,nounits"
        lines.append(
            f"said=$(nvidia-smi -i {uuid} -pl {asked} 2>&1) || true\n"
            f"{ask} | awk 'NR == 1 {{ok = $1 > {watts} - 0.5 && $1 < {watts} + 0.5}} END {{exit !ok}}' || {{\n"
            f'  failed=1; echo {shlex.quote(f"{card.name} {card.uuid}: not limited to {asked} W:")} "$said" >&2; }}'
        )
    lines.append('[ "$failed" = 0 ]')
    return "\n".join(lines) + "\n"


def _parts(lines: tuple[BootLine, ...] | None) -> tuple[Resource, ...]:
    if lines is None:
        return (Files("files", tuple(File(path, None) for path in (UNIT_FILE, RESUME_FILE, RULES_FILE))),)
    unit = File(UNIT_FILE, render(__file__, UNIT, lines=lines, target=TARGET))
    resume = File(RESUME_FILE, render(__file__, RESUME_UNIT, unit=UNIT))
    rules = File(RULES_FILE, render(__file__, "labctl-gpu-power.rules", unit=UNIT))
    return (
        Files("files", (unit, resume, rules)),
        Unit("unit", UNIT, reads=(unit,)),
        Condition(
            "resume unit",
            probe=f"systemctl is-enabled {RESUME_UNIT}",
            wanted="enabled",
            problem=f"{RESUME_UNIT} is not enabled",
            apply=f"systemctl daemon-reload\nsystemctl unmask {RESUME_UNIT}\nsystemctl enable {RESUME_UNIT}",
        ),
    )
