"""Locked clocks as the boot unit takes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.power.clocks import KINDS, WantedClocks
from roles.gpu_power.boot_unit import AtBoot
from roles.gpu_power.card_unit import CardUnit
from roles.gpu_tuning.boot_lines import NOTHING, PROGRAM, RESET
from roles.gpu_tuning.host_clocks import TUNING, host_clocks, snippets


@dataclass(frozen=True)
class AskedClocks:
    """What an inventory wants of a host's cards."""

    wanted: WantedClocks

    @property
    def unit(self) -> CardUnit:
        """The unit that locks."""
        return TUNING

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def snippets(self) -> tuple[tuple[str, str], ...]:
        """The questions."""
        return snippets(self.wanted)

    def at_boot(self, texts: Mapping[str, str]) -> AtBoot:
        """A line for each card with a lock; a released one gets its own clocks. Raises BadInput as host_clocks does."""
        found = host_clocks(self.wanted, texts)
        reset = {
            uuid: f"{uuid} {' '.join(RESET if kind in kinds else NOTHING for kind in KINDS)}"
            for uuid, kinds in found.released.items()
        }
        return AtBoot(tuple(str(line) for line in found.lines), tuple(reset), lock_clocks(reset.values()))

    def words(self) -> tuple[str, ...]:
        """Every lock."""
        return tuple(
            f"{kind} {name} {least} {most}"
            for kind in KINDS
            for name, (least, most) in sorted(self.wanted.locks.get(kind, {}).items())
        )


def lock_clocks(arguments: Iterable[str]) -> str:
    """A script (sh) that runs the program for each card, whatever becomes of the others; fails when one refuses."""
    lines = [f"{PROGRAM} {' '.join(map(shlex.quote, each.split()))} || failed=1\n" for each in arguments]
    return f'failed=0\n{"".join(lines)}[ "$failed" = 0 ]\n'
