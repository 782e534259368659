"""The lines of the boot unit that speak of cards: what is locked, and what is known of a card that is not there now."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.power.clocks import KINDS, ClockedCard, Locks, Span

PROGRAM = "/usr/local/lib/labctl/lock-clocks"
NOTHING, RESET = "-", "reset"
_KNOWN = re.compile(r"^# (GPU-\S+) (\S+): graphics (\S+), memory (\S+) MHz$", re.MULTILINE)
# One card that refuses must not leave the rest unlocked: `-` lets a oneshot go on.
_LOCK = re.compile(rf"^ExecStart=-{re.escape(PROGRAM)} (GPU-\S+) (\S+) (\S+)$", re.MULTILINE)
_SPAN = re.compile(r"(\d+|\?)\.\.(\d+)")


@dataclass(frozen=True)
class BootLine:
    """One card's locks at boot."""

    card: ClockedCard
    locks: Locks

    @property
    def arguments(self) -> str:
        """Of the program that locks."""
        return f"{self.card.id} {' '.join(written(self.locks, kind) for kind in KINDS)}"

    def __str__(self) -> str:
        known = ", ".join(f"{kind} {_span(self.card.supported.get(kind))}" for kind in KINDS)
        return f"# {self.card.id} {self.card.model}: {known} MHz\nExecStart=-{PROGRAM} {self.arguments}"


def written(locks: Locks, kind: str) -> str:
    """A lock as the program takes and notes it."""
    return ",".join(map(str, locks[kind])) if kind in locks else NOTHING


def parse(unit: str) -> tuple[BootLine, ...]:
    """The lines in a unit's text; a card whose two lines are not both there is not known."""
    locked = {uuid: _locks(words) for uuid, *words in _LOCK.findall(unit)}
    return tuple(
        BootLine(ClockedCard(uuid, model, _supported(spans)), locked[uuid])
        for uuid, model, *spans in _KNOWN.findall(unit)
        if uuid in locked
    )


def parse_locks(record: str) -> Locks:
    """What the program noted of a card: a line `KIND LEAST,MOST` for each kind that is locked."""
    noted = dict(line.split(" ", 1) for line in record.splitlines() if " " in line)
    return _locks([noted.get(kind, NOTHING) for kind in KINDS])


def _locks(words: list[str]) -> Locks:
    found: dict[str, tuple[int, int]] = {}
    for kind, word in zip(KINDS, words, strict=True):
        least, _, most = word.partition(",")
        if least.isdigit() and most.isdigit():
            found[kind] = int(least), int(most)
    return found


def _span(span: Span | None) -> str:
    return f"{span.least_mhz or '?'}..{span.most_mhz}" if span else "?"


def _supported(words: list[str]) -> dict[str, Span]:
    matches = ((kind, _SPAN.fullmatch(word)) for kind, word in zip(KINDS, words, strict=True))
    return {
        kind: Span(int(match[1]) if match[1].isdigit() else None, int(match[2]))
        for kind, match in matches
        if match
    }
