"""From workloads and a rig to the placement problem: every option, and why a card gives none."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import floor

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.speed import LAYER_MS
from labctl.models.model import Model
from labctl.place.drivers import no_common_driver, too_old_a_driver
from labctl.place.placed import Placed, may_become, variant_id
from labctl.place.problem import Option, Reason
from labctl.place.rules import unsupported
from labctl.place.sites import Site, groups, sites
from labctl.place.variants import USUAL_KV_TYPES
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig
from labctl.workloads.service import Service
from labctl.workloads.workload import Workload

# How many hopes (`Offering.left_out`) a workload may have; each is an option more to search through.
MOST_HOPES = 32
# No option is faster: every layer costs so much whatever the cards are, and a model has at least one.
MOST_DECITOKENS = floor(10 * 1000 / LAYER_MS[1])


@dataclass(frozen=True)
class Wish:
    """A workload, its service, and what it loads; candidate None where no model is loaded.

    vision: what is loaded beside it.
    """

    workload: Workload
    service: Service
    candidate: Candidate | None
    vision: Model | None = None


@dataclass(frozen=True)
class Offered:
    """What the solver may choose from.

    options: every way that fits an empty rig, and for cards on which none does the one that asks least of them.
    barred: why a card is in none of them.
    """

    options: tuple[Option, ...]
    barred: Mapping[str, Reason]


def offered(wish: Wish, rig: Rig, running_id: str | None = None) -> Offered:
    """All options of one workload on all hosts. running_id: the `variant_id` of what runs now."""
    offering = Offering(wish, rig, running_id)
    offering.complete()
    return offering.offered


class Offering:
    """The options of one workload, made rank by rank and no further than they are asked for: estimates take time."""

    def __init__(self, wish: Wish, rig: Rig, running_id: str | None = None) -> None:
        self._workload, self._service = wish.workload, wish.service
        self._barred: dict[str, Reason] = {}
        self._declared: list[Option] = []
        self._sites: list[Site] = []
        for host in rig.hosts:
            allowed = []
            apart = no_common_driver(card.gpu for card in host.cards if card.gpu.capability >= (5, 0))
            for card in host.cards:
                undriven = apart or too_old_a_driver(wish.service, host.driver, card.gpu)
                if reason := _barred(wish, card) or ("driver" if undriven else None):
                    self._barred[card.id] = reason
                else:
                    allowed.append(card)
            if wish.workload.gpus.host not in (None, host.name):
                continue
            if len(allowed) < (wish.workload.gpus.count or 0):
                self._barred |= {card.id: "too_few_on_host" for card in allowed}
            if wish.candidate is None:
                self._declared += self._without_model(host, allowed)
            else:
                self._sites += sites(wish.workload, wish.candidate, host, allowed, wish.vision)
        for site in self._sites:
            site.running_id = running_id
        self._left = list(range(len(self._sites[0].variants))) if self._sites else []
        self._n_made = 0

    @property
    def is_complete(self) -> bool:
        """Whether no option is left out."""
        return not self._left

    @property
    def offered(self) -> Offered:
        """What was made so far. What asks least where nothing fits is only there at the end."""
        options = [*self._declared]
        for site in self._sites:
            ways = site.found or ([site.least] if site.least and self.is_complete else [])
            base = self._base(site.host)
            for cards in site.places:
                options += (_option(base, cards, way) for way in ways)
        return Offered(tuple(options), self._barred)

    def left_out(self) -> tuple[Option, ...]:
        """For every option that was left out one that asks no more and promises no less, on the same cards or on none.

        It claims nothing of the cards, takes the RAM, disk and ports that the service takes whatever the model, has
        the least rank and more speed than any can have. One for each of the cards that an option could be on; where
        these are many, one on no card for the whole host.
        """
        found: dict[tuple[str, tuple[str, ...]], Option] = {}
        many = sum(len(site.places) for site in self._sites) > MOST_HOPES
        for site in self._sites:
            rank = next((rank for rank in self._left if site.takes(rank)), None)
            if rank is None:
                continue
            base = replace(self._base(site.host), rank=rank, decitokens_per_second=MOST_DECITOKENS)
            for cards in [()] if many else site.places:
                hope = replace(base, claims_mib={card.id: 0 for card in cards})
                place = (hope.host, tuple(hope.claims_mib))
                if place not in found or rank < found[place].rank:
                    found[place] = hope
        return tuple(found.values())

    def widen(self) -> None:
        """Makes more options: as many ranks as there were so far."""
        self._make(self._left[: max(1, self._n_made)])

    def make_like(self, wanted_id: str) -> None:
        """Makes all options that could have this `variant_id`."""
        ranks = {
            variant.rank
            for site in self._sites
            for variant in site.variants
            if variant.rank in self._left and may_become(variant, wanted_id)
        }
        self._make(ranks)

    def complete(self) -> None:
        """Makes all that is left."""
        self._make(self._left)

    def _make(self, ranks: Iterable[int]) -> None:
        made = sorted(ranks)
        for site in self._sites:
            for rank in made:
                site.make(rank)
        self._left = sorted(set(self._left) - set(made))
        self._n_made += len(made)
        if made and not self._left:
            for site in self._sites:
                site.finish()

    def _base(self, host: Host) -> Option:
        """What every option there takes."""
        workload, service = self._workload, self._service
        return Option(
            workload=workload.name,
            host=host.name,
            claims_mib={},
            ram_mib=service.ram_mib if workload.ram_mib is None else workload.ram_mib,
            disk_mib=service.disk_mib if workload.disk_mib is None else workload.disk_mib,
            ports=_ports(workload),
        )

    def _without_model(self, host: Host, allowed: list[Card]) -> Iterator[Option]:
        """No card, a declared claim, or, for an engine that fills what is free, a whole card."""
        workload, base = self._workload, self._base(host)
        count = workload.gpus.count
        told = {"vram_mib": workload.vram_mib} if workload.vram_mib else {}
        base = replace(base, variant_id=variant_id(told), variant=told)
        # An elastic engine takes what is free, unless it is told how much, or to do without.
        fills = self._service.elastic and workload.vram_mib is None
        if count == 0 or not (workload.vram_mib or fills or count):
            yield base
            return
        some_fit = False
        for cards in groups(allowed, count or 1):
            option = replace(base, claims_mib=self._claimed(cards))
            if all(option.claims_mib[card.id] <= (card.usable_mib or 0) for card in cards):
                some_fit = True
                yield option
        if not some_fit:
            # No solver takes one; they say what each card would have to have.
            for first in range(len(allowed) if len(allowed) >= (count or 1) else 0):
                around = [allowed[(first + step) % len(allowed)] for step in range(count or 1)]
                yield replace(base, claims_mib=self._claimed(around))

    def _claimed(self, cards: Iterable[Card]) -> dict[str, int]:
        """What is declared, or all that is free of a card; what a card is worth having for where it is not."""
        declared = self._workload.vram_mib
        return {card.id: self._filled_mib(card) if declared is None else declared for card in cards}

    def _filled_mib(self, card: Card) -> int:
        """By what the card is, so that an engine stays when others take a little of it, up to half of the least."""
        usable, least = card.usable_mib or 0, self._service.least_vram_mib
        large_enough = (card.memory_mib or 0) - card.reserved_mib >= least > 0
        worth_having = large_enough and usable >= self._service.least_free_mib
        return usable if worth_having or not least else max(least, usable + 1)


def _barred(wish: Wish, card: Card) -> Reason | None:
    limits = wish.workload.gpus
    named = not limits.uuids or card.id in limits.uuids
    kind = not limits.models or card.gpu.name in limits.models
    if not named or not kind or limits.host not in (None, card.host):
        return "pinned_elsewhere"
    if card.mig:
        return "mig"
    if card.memory_mib is None or card.ecc_pending is not None:
        return "unknown_memory"
    if card.compute_mode != "default":
        return "compute_mode"
    return None if wish.candidate is None else _no_kernels(wish.workload, wish.candidate, card.gpu)


def _no_kernels(workload: Workload, candidate: Candidate, gpu: Gpu) -> Reason | None:
    """Whether no format that was asked for runs on such a card."""
    lacking = [
        unsupported(candidate.engine, quant, kv_type, gpu)
        for quant in candidate.quants
        for kv_type in workload.kv_types or USUAL_KV_TYPES
    ]
    if not all(lacking):
        return None
    return "dtype" if any(each and each.part for each in lacking) else "compute_capability"


def _option(base: Option, cards: tuple[Card, ...], way: Placed) -> Option:
    return replace(
        base,
        claims_mib={card.id: claim for card, claim in zip(cards, way.claims_mib, strict=True)},
        ram_mib=base.ram_mib + way.ram_mib,
        disk_mib=base.disk_mib + way.disk_mib,
        rank=way.rank,
        decitokens_per_second=way.decitokens_per_second,
        variant_id=way.variant_id,
        variant=way.variant,
    )


def _ports(workload: Workload) -> tuple[int, ...]:
    """Those of the host that the person fixed; others are given out later, where they are free."""
    return tuple(sorted({int(port.split(":")[0]) for port in workload.ports if ":" in port}))
