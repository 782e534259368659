"""Which cards of the catalogue would do, for a person who may buy one."""

from collections.abc import Iterable
from dataclasses import dataclass

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Request
from labctl.place.fit import SHARED, fit
from labctl.place.group import Group
from labctl.place.prices import USUAL_CURRENCY, price_in
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, default_reserved_mib, visible_mib

COUNTS = (1, 2, 4)
# What a person can put into a desktop case without a fan of their own design.
SOLD = ("GeForce", "RTX PRO", "TITAN")


@dataclass(frozen=True)
class Enough:
    """So many of this card hold it. needs_mib, usable_mib: of the fullest card."""

    count: int
    gpu: Gpu
    needs_mib: int
    usable_mib: int


def imagined(gpu: Gpu, count: int) -> Group:
    """So many cards in a host of which nothing else is known."""
    memory_mib = visible_mib(gpu)
    host = Host("any", ())
    reserved = default_reserved_mib(memory_mib)
    cards = (Card(f"{gpu.name}/{index}", "any", index, gpu, memory_mib, reserved) for index in range(count))
    return Group(host, tuple(cards))


def enough(candidate: Candidate, quant: str, request: Request, gpus: Iterable[Gpu]) -> tuple[Enough, ...]:
    """The three smallest cards that hold it alone, the smallest of which two do, and four; least memory first.

    Machines with unified memory stand alone.
    """
    sold = [gpu for gpu in gpus if gpu.bandwidth_gbs and (gpu.title.startswith(SOLD) or gpu.unified_memory)]
    found: list[Enough] = []
    for count in COUNTS:
        if count > 1 and candidate.engine not in SHARED:
            break
        # More of a card of which fewer do is no help.
        fewer_do = min((each.gpu.memory_mib for each in found), default=None)
        smaller = [gpu for gpu in sold if fewer_do is None or gpu.memory_mib < fewer_do]
        found += _smallest(candidate, quant, request, smaller, count)[: 3 if count == 1 else 1]
    return tuple(sorted(found, key=lambda each: (each.count * each.gpu.memory_mib, each.count)))


def _smallest(
    candidate: Candidate, quant: str, request: Request, gpus: list[Gpu], count: int
) -> list[Enough]:
    """By memory size, one each."""
    found: list[Enough] = []
    needs_mib = _needs(candidate, quant, request, gpus, count)
    for gpu in sorted(gpus, key=_first_to_name):
        group = imagined(gpu, count)
        if any(gpu.memory_mib == each.gpu.memory_mib for each in found) or (count > 1 and gpu.unified_memory):
            continue
        # The need hardly depends on the card; asked exactly only where it may do.
        if needs_mib is None or min(group.usable_mib) < 0.9 * needs_mib:
            continue
        exact = fit(candidate, quant, request, group, search=False)
        if exact.fits:
            found.append(Enough(count, gpu, max(exact.needs_mib), min(group.usable_mib)))
        if len(found) == 3:
            break
    return found


def _first_to_name(gpu: Gpu) -> tuple[int, bool, float, float]:
    """Of one size the cheapest of those whose price is known, else the fastest."""
    price = price_in(gpu, USUAL_CURRENCY)
    return (
        gpu.memory_mib,
        price is None,
        price.amount if price else 0.0,
        -(gpu.bandwidth_gbs or 0.0),
    )


def _needs(candidate: Candidate, quant: str, request: Request, gpus: list[Gpu], count: int) -> int | None:
    """On a card with memory of its own; a machine with unified memory takes the host's part on top."""
    for gpu in gpus:
        if gpu.unified_memory:
            continue
        # Where the engine does not run at all nothing is known of its needs.
        if found := fit(candidate, quant, request, imagined(gpu, count), search=False).needs_mib:
            return max(found)
    return None
