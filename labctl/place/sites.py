"""Where a model may run: all cards of one host that come to the same thing for it, and what was tried there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from labctl.estimate.candidates.candidate import Candidate
from labctl.models.model import Model
from labctl.place.fit import not_shared, not_supported
from labctl.place.group import Group
from labctl.place.placed import Placed, placed
from labctl.place.variants import Variant, variants
from labctl.rig.rig import Card, Host
from labctl.workloads.workload import Workload

# How many cards may share one model; more only cost time.
MOST_SHARED = 8


@dataclass
class Site:
    """Cards of these kinds in this order, or the host without cards; `places` are all such cards of the host.

    variants: by rank. running_id: the `variant_id` of what runs now, which is how its layers are split.
    found: what fits while the cards are empty. least: what does not fit and asks least.
    """

    host: Host
    candidate: Candidate
    variants: tuple[Variant, ...]
    places: list[tuple[Card, ...]]
    running_id: str | None = None
    found: list[Placed] = field(default_factory=list)
    least: Placed | None = None

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
        for way in placed(self.candidate, variant, group, self.running_id):
            if way.fits:
                self.found.append(way)
            elif self.least is None or _asks(way) < _asks(self.least):
                self.least = way


def _asks(way: Placed) -> tuple[int, int]:
    return max(way.claims_mib), way.rank


def sites(
    workload: Workload, candidate: Candidate, host: Host, allowed: list[Card], vision: Model | None
) -> list[Site]:
    """Of one host, with the cards of it that the workload may have."""
    ways = tuple(variants(workload, candidate, host.ram_mib, vision))
    found: dict[tuple[object, ...], Site] = {}
    if workload.offload and not workload.gpus.count:
        found[()] = Site(host, candidate, ways, [()])
    for cards in _subsets(workload, allowed):
        kinds = tuple(
            (card.gpu.name, card.memory_mib, card.usable_mib, card.power_limit_watts) for card in cards
        )
        if kinds in found:
            found[kinds].places.append(cards)
        elif not not_shared(candidate, Group(host, cards)):
            found[kinds] = Site(host, candidate, ways, [cards])
    return list(found.values())


def _subsets(workload: Workload, allowed: list[Card]) -> Iterator[tuple[Card, ...]]:
    counts: Iterable[int] = range(1, min(len(allowed), MOST_SHARED) + 1)
    if workload.gpus.count is not None:
        counts = (workload.gpus.count,)
    for count in counts:
        yield from combinations(allowed, count)
