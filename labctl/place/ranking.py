"""Which models of the catalogue a rig runs, for what, and how well."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Request
from labctl.models.model import Model
from labctl.place.choice import GOOD_BITS, Bits
from labctl.place.fit import Fit, fit
from labctl.place.group import Group


@dataclass(frozen=True)
class Entry:
    """A model to try.

    uses: what people run it for. newer: the name of the one that took its place. vision: loaded beside it.
    """

    candidate: Candidate
    title: str
    uses: tuple[str, ...]
    newer: str | None = None
    vision: Model | None = None


@dataclass(frozen=True)
class Ranked:
    """A model that fits, in its best format, on the fewest cards."""

    name: str
    title: str
    uses: tuple[str, ...]
    parameters: int
    fit: Fit
    newer: str | None = None


def ranked(
    entries: Iterable[Entry], request: Request, groups: tuple[Group, ...], bits: Bits
) -> Iterator[Ranked]:
    """Every model that fits as asked, in the order given; the caller sorts by use and size."""
    for entry in entries:
        asked = replace(request, mmproj=entry.vision) if entry.vision else request
        found = _best(entry.candidate, asked, groups, bits)
        if found is not None:
            name, parameters = entry.candidate.name, entry.candidate.parameters
            yield Ranked(name, entry.title, entry.uses, parameters, found, entry.newer)


def without_superseded(found: tuple[Ranked, ...], use: str) -> tuple[Ranked, ...]:
    """Of those for one use, all whose place no other of them has taken, however many took it in turn."""
    of_use = {each.name: each for each in found if use in each.uses}
    newer = {each.name: each.newer for each in found}

    def superseded(name: str | None) -> bool:
        following = newer.get(name) if name else None
        return following is not None and (following in of_use or superseded(following))

    return tuple(each for each in of_use.values() if not superseded(each.name))


def order(found: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """More parameters first: the best single predictor of quality that every model states; then the finer format."""
    return tuple(sorted(found, key=lambda each: (-each.parameters, each.name)))


def _best(candidate: Candidate, request: Request, groups: tuple[Group, ...], bits: Bits) -> Fit | None:
    """The best good format on the fewest cards."""
    good = [quant for quant in candidate.quants if GOOD_BITS <= bits(quant) <= 9] or list(candidate.quants)
    for group in groups:
        for quant in sorted(good, key=bits, reverse=True):
            if _cannot(candidate, quant, group, bits):
                continue
            try:
                found = fit(candidate, quant, request, group, search=False)
            except BadInput:
                continue
            if found.fits:
                return fit(candidate, quant, request, group)
    return None


def _cannot(candidate: Candidate, quant: str, group: Group, bits: Bits) -> bool:
    """Weights alone are too much: a third of a small model, the embedding, may stay in RAM."""
    return 0.6 * candidate.parameters * bits(quant) / 8 > sum(group.usable_mib) * MIB
