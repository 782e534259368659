"""Which models of the catalogue a rig runs, for what, and how well."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Request
from labctl.place.choice import GOOD_BITS, Bits
from labctl.place.fit import Fit, fit
from labctl.place.group import Group


@dataclass(frozen=True)
class Entry:
    """A model to try. uses: what people run it for."""

    candidate: Candidate
    title: str
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Ranked:
    """A model that fits, in its best format, on the fewest cards."""

    name: str
    title: str
    uses: tuple[str, ...]
    parameters: int
    fit: Fit


def ranked(
    entries: Iterable[Entry], request: Request, groups: tuple[Group, ...], bits: Bits
) -> Iterator[Ranked]:
    """Every model that fits as asked, in the order given; the caller sorts by use and size."""
    for entry in entries:
        found = _best(entry.candidate, request, groups, bits)
        if found is not None:
            yield Ranked(entry.candidate.name, entry.title, entry.uses, entry.candidate.parameters, found)


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
