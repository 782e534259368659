"""How much of a card's memory CUDA shows: as measured, else a lower bound from the cards that were.

A driver keeps some hundred MiB for itself: more on larger cards, and more in each generation. ECC in GDDR memory takes
a sixteenth on top; data-centre cards are delivered with it on, workstation cards with it off, and HBM has it for
nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.rig.gpu import Gpu

_ECC_SHARE = 16
_DATA_CENTRE = re.compile(r"tesla-.+|a\d+g?|l\d+s?")
# GP100, GV100, GA100, GH100, GB100: the chips with HBM.
_HBM = frozenset({(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)})
# Drivers of different years differ by so much on one card (RTX 4070: 281 to 422 MiB), and makers' boards do.
_MARGIN_MIB = 128


@dataclass(frozen=True)
class VisibleMemory:
    """mib: what a process can allocate at most. measured: False for a bound, which is never above what CUDA shows."""

    mib: int
    measured: bool
    source: str


def visible_memory(gpu: Gpu, cards: Iterable[Gpu]) -> VisibleMemory:
    """What CUDA shows of one card. cards: the catalogue's, of which the measured ones make the bound."""
    if gpu.cuda_memory_mib is not None:
        source = next((each.from_ for each in gpu.sources if "cuda_memory_mib" in each.covers), "")
        return VisibleMemory(gpu.cuda_memory_mib, True, source)
    return lower_bound(gpu, (card for card in cards if card.name != gpu.name))


def lower_bound(gpu: Gpu, cards: Iterable[Gpu]) -> VisibleMemory:
    """The most that is kept of measured cards of its kind, up to twice its size; in proportion where all are smaller.

    Its kind: the same architecture, or unified memory; any, where none of that kind was measured.
    """
    measured = [card for card in cards if card.cuda_memory_mib is not None]
    alike = [card for card in measured if _kind(card) == _kind(gpu)] or measured
    if gpu.unified_memory:
        share = max((_kept(card) / card.memory_mib for card in alike), default=0.1)
        kept = share * gpu.memory_mib
    else:
        kept = max(_kept_by_larger(gpu, alike) or _kept_by_smaller(gpu, alike), default=0.1 * gpu.memory_mib)
    mib = int(gpu.memory_mib - kept - _ecc_mib(gpu) - _MARGIN_MIB)
    kind = "unified memory" if gpu.unified_memory else gpu.architecture
    return VisibleMemory(
        mib, False, f"a lower bound: what drivers keep of {len(alike)} measured cards ({kind}), and ECC"
    )


def _kept_by_larger(gpu: Gpu, cards: list[Gpu]) -> list[float]:
    """Of cards from the next size up to twice that: what is kept grows with the memory."""
    larger = [card for card in cards if card.memory_mib >= gpu.memory_mib]
    most = 2 * min((card.memory_mib for card in larger), default=0)
    return [_kept(card) for card in larger if card.memory_mib <= most]


def _kept_by_smaller(gpu: Gpu, cards: list[Gpu]) -> list[float]:
    return [
        _kept(card) * gpu.memory_mib / card.memory_mib
        for card in cards
        if 2 * card.memory_mib >= gpu.memory_mib
    ]


def _kind(gpu: Gpu) -> str:
    return "unified" if gpu.unified_memory else gpu.architecture


def _kept(gpu: Gpu) -> int:
    """What the driver keeps, without ECC."""
    return gpu.memory_mib - (gpu.cuda_memory_mib or 0) - _ecc_mib(gpu)


def _ecc_mib(gpu: Gpu) -> int:
    delivered_on = _DATA_CENTRE.fullmatch(gpu.name) and gpu.capability not in _HBM
    return gpu.memory_mib // _ECC_SHARE if delivered_on else 0
