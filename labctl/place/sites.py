"""Where a model may run: all cards of one host that come to the same thing for it, and what was tried there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from math import comb

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.candidates.language import Language
from labctl.estimate.claim import MIB
from labctl.models.model import Model
from labctl.place.fit import not_shared, not_supported
from labctl.place.group import Group
from labctl.place.placed import Placed, placed
from labctl.place.variants import Variant, variants
from labctl.rig.rig import Card, Host
from labctl.workloads.workload import Workload

# How many cards may share one model; more only cost time.
MOST_SHARED = 8
# Of one size; up to ten cards give no more. Of 64 cards there are four thousand million groups of eight.
MOST_GROUPS = 252


@dataclass
class Site:
    """Cards of these kinds in this order, or the host without cards; `places` are all such cards of the host.

    variants: by rank. running_id: the `variant_id` of what runs now, which is how its layers are split.
    found: what fits while the cards are empty. least: of what was tried and does not fit, that which asks least.
    heavy: what is too heavy to be tried: at least so many MiB on some card, and its rank.
    """

    host: Host
    candidate: Candidate
    variants: tuple[Variant, ...]
    places: list[tuple[Card, ...]]
    running_id: str | None = None
    found: list[Placed] = field(default_factory=list)
    least: Placed | None = None
    heavy: list[tuple[int, int]] = field(default_factory=list)

    def takes(self, rank: int) -> bool:
        """Whether that variant runs on cards where these are cards, and without where there are none."""
        return self.variants[rank].without_card == (not self.places[0])

    def make(self, rank: int) -> None:
        """Try one variant; each only once."""
        variant, group = self.variants[rank], Group(self.host, self.places[0])
        if not self.takes(rank):
            return
        if not_supported(self.candidate, variant.quant, variant.request.kv_type_k, group):
            return
        bound = _least_bytes(self.candidate, variant) if group.cards else 0
        if bound > MIB * sum(group.usable_mib):
            self.heavy.append((-(-bound // (MIB * len(group.cards))), rank))
        else:
            self._try(variant, group)

    def finish(self) -> None:
        """After the last rank: where nothing fits, `least` becomes that of all variants."""
        group = Group(self.host, self.places[0])
        for bound_mib, rank in sorted(self.heavy):
            if self.found or (self.least is not None and bound_mib > max(self.least.claims_mib)):
                break
            self._try(self.variants[rank], group)

    def _try(self, variant: Variant, group: Group) -> None:
        for way in placed(self.candidate, variant, group, self.running_id):
            if way.fits:
                self.found.append(way)
            elif self.least is None or _asks(way) < _asks(self.least):
                self.least = way


def _least_bytes(candidate: Candidate, variant: Variant) -> int:
    """What a variant takes of its cards together at the least."""
    if not isinstance(candidate, Language):
        return 0
    try:
        return candidate.least_bytes(variant.quant, variant.request)
    except BadInput:
        return 0


def _asks(way: Placed) -> tuple[int, int]:
    return max(way.claims_mib), way.rank


def sites(
    workload: Workload, candidate: Candidate, host: Host, allowed: list[Card], vision: Model | None
) -> list[Site]:
    """Of one host, with the cards of it that the workload may have."""
    ways = tuple(variants(workload, candidate, host.ram_mib, vision))
    found: dict[tuple[object, ...], Site] = {}
    if workload.gpus.count == 0 or (workload.offload and not workload.gpus.count):
        found[()] = Site(host, candidate, ways, [()])
    for cards in _subsets(workload, allowed):
        kinds = tuple(kind(card) for card in cards)
        if kinds in found:
            found[kinds].places.append(cards)
        elif not not_shared(candidate, Group(host, cards)):
            found[kinds] = Site(host, candidate, ways, [cards])
    return list(found.values())


def _subsets(workload: Workload, allowed: list[Card]) -> Iterator[tuple[Card, ...]]:
    counts: Iterable[int] = range(1, min(len(allowed), MOST_SHARED) + 1)
    if workload.gpus.count is not None:
        counts = (workload.gpus.count,) if workload.gpus.count else ()
    for count in counts:
        yield from groups(allowed, count)


def groups(cards: Sequence[Card], count: int) -> Iterator[tuple[Card, ...]]:
    """So many of the cards, in PCI order: every group, or where those are too many those that differ in kind.

    Of equal cards then neighbours are taken, which leaves out groups that come to the same on empty cards.
    """
    if comb(len(cards), count) <= MOST_GROUPS:
        yield from combinations(cards, count)
        return
    kinds: dict[tuple[object, ...], list[int]] = {}
    for place, card in enumerate(cards):
        kinds.setdefault(kind(card), []).append(place)
    for group in islice(_of_kinds(list(kinds.values()), count), 4 * MOST_GROUPS):
        yield tuple(cards[place] for place in sorted(group))


def tries_every_group(cards: Sequence[Card], most: int) -> bool:
    """Whether `groups` leaves nothing out for up to so many cards at once."""
    return all(comb(len(cards), count) <= MOST_GROUPS for count in range(1, min(len(cards), most) + 1))


def kind(card: Card) -> tuple[object, ...]:
    """Equal for cards that come to the same for a model while they are empty."""
    return (card.gpu.name, card.memory_mib, card.usable_mib, card.power_limit_watts)


def _of_kinds(kinds: list[list[int]], count: int) -> Iterator[tuple[int, ...]]:
    """Positions; first those of few kinds."""
    if count == 0:
        yield ()
        return
    if not kinds:
        return
    first, rest = kinds[0], kinds[1:]
    for many in range(min(count, len(first)), -1, -1):
        if count - many > sum(map(len, rest)):
            break
        rows = (
            [tuple(first[start : start + many]) for start in range(len(first) - many + 1)] if many else [()]
        )
        for others in _of_kinds(rest, count - many):
            yield from ((*row, *others) for row in rows)
