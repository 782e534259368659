"""Power limits as the boot unit takes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.power.limits import Wanted
from labctl.power.reading import LimitReading
from roles.gpu_power.boot_unit import AtBoot
from roles.gpu_power.card_unit import CardUnit
from roles.gpu_power.host_limits import POWER, deviates, host_limits, snippets
from roles.nvidia_driver.one_card import ONE_CARD


@dataclass(frozen=True)
class AskedLimits:
    """What an inventory wants of a host's cards."""

    wanted: Wanted

    @property
    def unit(self) -> CardUnit:
        """The unit that sets limits."""
        return POWER

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def snippets(self) -> tuple[tuple[str, str], ...]:
        """The two questions."""
        return snippets(self.wanted)

    def at_boot(self, texts: Mapping[str, str]) -> AtBoot:
        """A line for each card with a limit; a released card gets its default. Raises BadInput as host_limits does."""
        found = host_limits(self.wanted, texts)
        return AtBoot(
            tuple(str(line) for line in found.lines),
            tuple(card.uuid for card in found.released),
            set_limits((card, card.default_watts) for card in found.released),
        )

    def words(self) -> tuple[str, ...]:
        """Every limit, and the budget."""
        limits = (f"{name} {watts}" for name, watts in sorted(self.wanted.limits.items()))
        return (*limits, str(self.wanted.budget_watts))


def set_limits(limits: Iterable[tuple[LimitReading, float | None]]) -> str:
    """A script (sh) that sets the limits of cards that answer, each whatever becomes of the others.

    It fails at its end when one of them is not what was asked for, and says which.
    """
    lines = [f"{ONE_CARD}failed=0"]
    for card, watts in limits:
        if watts is None or not deviates(card, watts):
            continue
        uuid, asked = shlex.quote(card.uuid), f"{watts:g}"
        ask = f"one_card {uuid} --query-gpu=power.limit --format=csv,noheader,nounits"
        lines.append(
            f"said=$(one_card {uuid} -pl {asked} 2>&1) || true\n"
            f"{ask} | awk 'NR == 1 {{ok = $1 > {watts} - 0.5 && $1 < {watts} + 0.5}} END {{exit !ok}}' || {{\n"
            f'  failed=1; echo {shlex.quote(f"{card.name} {card.uuid}: not limited to {asked} W:")} "$said" >&2; }}'
        )
    lines.append('[ "$failed" = 0 ]')
    return "\n".join(lines) + "\n"
