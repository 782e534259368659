"""The lines of the boot unit that speak of cards: what is set, and what is known of a card that is not there now.

A card may be lost or unplugged when the next deploy comes. Its line stays, so that it is limited the moment it is back,
and so that a check can say who is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.edges import catalog
from labctl.power.card import PoweredCard
from roles.nvidia_driver.one_card import PROGRAM

_KNOWN = re.compile(r"^# (GPU-\S+) (\S+): default (\d+|-), range (\d+|-) to (\d+|-) W$", re.MULTILINE)
# One dead card must not leave the rest unlimited: `-` lets a oneshot go on.
_SET = re.compile(r"^ExecStart=-/\S*/nvidia-smi -i (GPU-\S+) -pl (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class BootLine:
    """One card's limit at boot."""

    card: PoweredCard
    watts: int

    def __str__(self) -> str:
        card = self.card
        known = (f"{each or '-'}" for each in (card.default_watts, card.min_watts, card.max_watts))
        default, least, most = known
        return (
            f"# {card.id} {card.model}: default {default}, range {least} to {most} W\n"
            f"ExecStart=-{PROGRAM} -i {card.id} -pl {self.watts}"
        )


def parse(unit: str) -> tuple[BootLine, ...]:
    """The lines in a unit's text; a card whose two lines are not both there is not known."""
    set_to = {uuid: int(watts) for uuid, watts in _SET.findall(unit)}
    return tuple(
        BootLine(
            PoweredCard(
                uuid, model, _watts(default), _watts(least), _watts(most), catalog.power_curve(model)
            ),
            set_to[uuid],
        )
        for uuid, model, default, least, most in _KNOWN.findall(unit)
        if uuid in set_to
    )


def _watts(word: str) -> int | None:
    return None if word == "-" else int(word)
