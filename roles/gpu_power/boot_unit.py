"""The unit that sets what is asked of cards at every boot, and what starts it again; gone when nothing is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, Resource, digest_of
from labctl.hoststate.survey import Probes, union
from roles.gpu_power.card_unit import CardUnit

# Of packages that are about to be installed: those that may bring nvidia-smi.
_DRIVER = ("nvidia", "cuda-drivers", "libnvidia")


@dataclass(frozen=True)
class AtBoot:
    """lines: the unit's, one or more for each card. released: UUIDs of cards that have what is not wanted any more.

    release: a script (sh) that takes it from them, and fails at its end where it could not.
    """

    lines: tuple[str, ...]
    released: tuple[str, ...]
    release: str


class Asked(Protocol):
    """What a role asks of the cards of a host; false where that is nothing."""

    @property
    def unit(self) -> CardUnit:
        """The unit that sets it."""
        ...

    def __bool__(self) -> bool: ...

    def snippets(self) -> tuple[tuple[str, str], ...]:
        """What a survey asks to know what the cards say, and what an earlier deploy knew."""
        ...

    def at_boot(self, texts: Mapping[str, str]) -> AtBoot:
        """From the answers to `snippets`. Raises BadInput for what the cards cannot do."""
        ...

    def words(self) -> tuple[str, ...]:
        """The same for the same settings, and only for them."""
        ...


@dataclass(frozen=True)
class BootUnit:
    """The unit as the host's own cards ask for it, enabled and run; or, where nothing is wanted, not there.

    Its content is not known before the survey: UUIDs and ranges are asked of the cards.
    """

    asked: Asked
    name: str = "boot unit"

    def probes(self) -> Probes:
        """The files, both units, and what is asked of the cards."""
        parts = (part for lines in ((), None) for part in self.asked.unit.parts(lines))
        return union([*(part.probes() for part in parts), Probes(snippets=self.asked.snippets())])

    @property
    def may_refuse(self) -> bool:
        """Something is asked for."""
        return bool(self.asked)

    def refuse(self, seen: Observations) -> None:
        """Raise BadInput for what the cards cannot do, before any role changes anything."""
        self.asked.at_boot(seen.texts)

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when files or units are, or when a card still has what is not wanted any more.

        Raises BadInput for what the cards cannot do.
        """
        found = self.asked.at_boot(seen.texts)
        if self.asked and not found.lines:
            coming = any(name.startswith(_DRIVER) for name in pending.packages)
            return Difference("asked of the driver once it is there", Certainty.POSSIBLE) if coming else None
        parts = ((part, pending | before) for part, before in self._parts(seen, found))
        differences = (part.compare(seen, earlier) for part, earlier in parts)
        reasons = [difference.reason for difference in differences if difference]
        reasons += [f"{uuid} is not meant any more" for uuid in found.released]
        return Difference("; ".join(reasons[:2])) if reasons else None

    def will_change(self, seen: Observations) -> Pending:
        """The unit: what it sets is settled by its start."""
        unit = self.asked.unit
        return Pending(paths=frozenset({unit.path}), other=frozenset({unit.name}))

    def action(self, seen: Observations) -> Action:
        """Release what is not meant any more, then bring files and units about.

        The lines of released cards go last: a run that is killed before finds them again.
        """
        found, unit = self.asked.at_boot(seen.texts), self.asked.unit
        if self.asked and not found.lines:
            return Action("true\n")
        scripts = [f"released=yes\n(\n{found.release}) </dev/null || released=no\n"]
        stdin: tuple[str, ...] = ()
        if not found.lines:
            scripts.append(f"systemctl disable --now {unit.name} {unit.resume_name} 2>/dev/null || true\n")
        for part, before in self._parts(seen, found):
            if part.compare(seen, before) is not None:
                action = part.action(seen)
                scripts.append(action.script)
                stdin += action.stdin
        if not found.lines:
            scripts.append(
                f"systemctl daemon-reload\nsystemctl reset-failed {unit.name} 2>/dev/null || true\n"
            )
        scripts.append("[ $released = yes ]\n")
        return Action("".join(scripts), stdin)

    def digest(self) -> str:
        """A hash of what is asked for and of the files, but for the cards in them."""
        files = [part.digest() for part in self.asked.unit.parts(() if self.asked else None)]
        return digest_of([*self.asked.words(), *files])

    def _parts(self, seen: Observations, found: AtBoot) -> Iterator[tuple[Resource, Pending]]:
        """What it is made of, each with what those before it will change."""
        before = Pending()
        for part in self.asked.unit.parts(found.lines if self.asked else None):
            yield part, before
            if part.compare(seen, before) is not None:
                before |= part.will_change(seen)
