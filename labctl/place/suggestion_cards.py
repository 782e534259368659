"""Which cards are worth a try for a refused workload: judged with the cards that are there, in the rig as it would be.

Only what cannot help is left out here; whether one helps, solving the whole question says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from labctl.place.additions import Addition, additions, fits_a_slot
from labctl.place.fit import SHARED_BY_RANK
from labctl.place.options import Wish, offered
from labctl.place.placement import Placement
from labctl.place.prices import USUAL_CURRENCY, price_in
from labctl.place.problem import Option
from labctl.place.rules import unsupported
from labctl.place.suggestion import Alternatives
from labctl.place.suggestion_levers import Ladder, wish_of
from labctl.place.suggestion_rig import cards_lever, changed_host, psu_of, spared
from labctl.place.variants import USUAL_KV_TYPES
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig

# So many equal cards at once, where one does not do.
_CARDS_AT_ONCE = (1, 2, 4)
# Of each way of choosing so many are tried.
_MOST_TRIED = 5
# An engine whose clients choose the models has no use for less: SDXL takes about so much, so does a model of 7B.
_LEAST_BOARD_MIB = 6144
# No limit below so many hundredths of a card's own watts goes with a purchase: a lesser card would do as well.
_LEAST_LIMIT_PERCENT = 60


@dataclass(frozen=True)
class _Way:
    """One thing to buy. psu_watts: of the larger power supply that it takes; None where the old one will do."""

    built: Addition
    psu_watts: int | None

    @property
    def gpu(self) -> Gpu:
        """The model that is bought."""
        return self.built.gpu

    @property
    def price(self) -> float | None:
        """Of one of them."""
        price = price_in(self.gpu, USUAL_CURRENCY)
        return price.amount if price else None

    @property
    def worth(self) -> float:
        """Memory bandwidth for its price: tokens come as fast as weights are read."""
        return (self.gpu.bandwidth_gbs or 0) / (self.price or 1)


def cards_added(placement: Placement, wish: Wish, other: Alternatives) -> list[Ladder]:
    """On every host as few as do: the cheapest, the model that is there, the most speed for its price, the others.

    What the power supply bears goes first, then each with a larger one.
    """
    rig, found = placement.question.rig, []
    for host in _hosts(rig, wish):
        gpus = [gpu for gpu in other.cards() if _serves(wish, gpu)]
        for round_, count in enumerate(_CARDS_AT_ONCE):
            chosen = _Chosen(placement, wish, host)
            ways = [way for gpu in gpus for way in _ways(rig, host, gpu, count)]
            for step, some in enumerate(_orders(host, placement.question.wishes, ways)):
                rungs = islice(filter(chosen.may_help, some), _MOST_TRIED)
                ladder = tuple(cards_lever(rig, each.built, each.psu_watts) for each in rungs)
                found.append((round_, step, ladder))
            if chosen.alone:
                break
    return [ladder for *_, ladder in sorted(found, key=lambda each: each[:2]) if ladder]


class _Chosen:
    """Of what may be bought for one host that which may help. alone: some would hold it without the old cards."""

    def __init__(self, placement: Placement, wish: Wish, host: Host) -> None:
        self._placement, self._wish, self._host = placement, wish, host
        self._old = {card.id for card in host.cards}
        self.alone = False

    def may_help(self, way: _Way) -> bool:
        """Whether it would fit there if nothing else were on the cards, and all together have enough for all."""
        rig = way.built.rig
        if _short_mib(self._placement, self._wish, rig) > 0:
            return False
        options = offered(self._wish, Rig(rig.name, (rig.host(self._host.name),))).options
        cards = {card.id: card for card in rig.cards}
        fitting = [each for each in options if _fits(each, cards)]
        self.alone |= any(each.claims_mib and not self._old & set(each.claims_mib) for each in fitting)
        return bool(fitting)


def _hosts(rig: Rig, wish: Wish) -> list[Host]:
    """Where a card would serve it; none where the person named single cards."""
    limits = wish.workload.gpus
    if limits.uuids:
        return []
    return [
        host
        for host in rig.hosts
        if limits.host in (None, host.name) and not any(card.gpu.unified_memory for card in host.cards)
    ]


def _serves(wish: Wish, gpu: Gpu) -> bool:
    models, workload = wish.workload.gpus.models, wish.workload
    if not fits_a_slot(gpu) or (models and gpu.name not in models):
        return False
    if wish.candidate is None:
        fills = wish.service.elastic and workload.vram_mib is None
        return not fills or gpu.memory_mib >= _LEAST_BOARD_MIB
    return bool(_formats(wish, gpu))


def _formats(wish: Wish, gpu: Gpu) -> frozenset[tuple[str, str]]:
    """Of weights and KV cache, those it can be run in there."""
    if wish.candidate is None:
        return frozenset()
    return frozenset(
        (quant, kv_type)
        for quant in wish.candidate.quants
        for kv_type in wish.workload.kv_types or USUAL_KV_TYPES
        if unsupported(wish.candidate.engine, quant, kv_type, gpu) is None
    )


def _able(wishes: Sequence[Wish], gpu: Gpu) -> frozenset[object]:
    """What can be run on it; where an engine shares a model among equals only, beside which cards."""
    held: set[object] = set()
    for wish in wishes:
        held |= {(wish.workload.name, *each) for each in _formats(wish, gpu)}
        if wish.candidate is not None and wish.candidate.engine in SHARED_BY_RANK:
            held.add(gpu.compute_capability)
    return frozenset(held)


def _ways(rig: Rig, host: Host, gpu: Gpu, count: int) -> Iterator[_Way]:
    """So many of this card, built in; the power supply keeps a tenth of its watts to spare."""
    psu = host.psu_watts
    within = psu and spared(psu)
    asked = changed_host(rig, host.name, lambda found: replace(found, psu_watts=within))
    for found in additions(asked, asked.host(host.name), gpu, count):
        restored = changed_host(found.rig, host.name, lambda each: replace(each, psu_watts=psu))
        built = replace(found, rig=restored)
        if found.psu_watts_needed is not None:
            larger = psu_of(found.psu_watts_needed)
            if larger is not None:
                yield _Way(built, larger)
        elif not _held_too_low(built):
            yield _Way(built, None)


def _fits(option: Option, cards: Mapping[str, Card]) -> bool:
    return all(claim <= (cards[each].usable_mib or 0) for each, claim in option.claims_mib.items())


def _held_too_low(built: Addition) -> bool:
    tdp = {card.id: card.gpu.tdp_watts or 0 for card in built.rig.cards}
    return any(100 * watts < _LEAST_LIMIT_PERCENT * tdp[each] for each, watts in built.limits.items())


def _short_mib(placement: Placement, wish: Wish, rig: Rig) -> int:
    """How much all cards together lack of what those that keep their places take at the least, and this one."""
    question, least = placement.question, _least_claims(placement)
    priority = wish.workload.priority
    together = [
        name
        for name in (*placement.placed, wish.workload.name)
        if wish_of(question, name).workload.priority >= priority and not _takes_turns(placement, name)
    ]
    return sum(least.get(each, 0) for each in together) - sum(card.usable_mib or 0 for card in rig.cards)


def _least_claims(placement: Placement) -> dict[str, int]:
    """Of all its cards together, by workload; nothing where its size is that of the card."""
    least: dict[str, int] = {}
    for option in placement.problem.options:
        claimed = sum(option.claims_mib.values())
        least[option.workload] = min(claimed, least.get(option.workload, claimed))
    elastic = {
        each.workload.name
        for each in placement.question.wishes
        if each.service.elastic and each.candidate is None and each.workload.vram_mib is None
    }
    return {name: claimed for name, claimed in least.items() if name not in elastic}


def _takes_turns(placement: Placement, name: str) -> bool:
    wishes = placement.question.wishes
    return any(
        each.workload.displaces and name in (each.workload.name, *each.workload.displaces) for each in wishes
    )


def _orders(host: Host, wishes: Sequence[Wish], ways: Sequence[_Way]) -> Iterator[list[_Way]]:
    """What is worth a try, in the order of trying: the first that helps is shown."""
    there = {card.gpu.name for card in host.cards}
    for larger in (False, True):
        some = [way for way in ways if (way.psu_watts is not None) == larger]
        priced = sorted(
            (way for way in some if way.price), key=lambda way: (way.price, len(way.built.limits))
        )
        unpriced = sorted(
            (way for way in some if not way.price), key=lambda way: (way.gpu.memory_mib, way.gpu.tdp_watts)
        )
        yield _growing(wishes, priced)
        yield [way for way in some if way.gpu.name in there]
        yield _growing(wishes, sorted(priced, key=lambda way: -way.worth))
        yield _growing(wishes, unpriced)


def _growing(wishes: Sequence[Wish], ways: Sequence[_Way]) -> list[_Way]:
    """Without those that can do no more than one before them: no more memory, no other formats, as many taken out.

    wishes: all of them, as another may be what moves to the new card.
    """
    able = {way.gpu.name: _able(wishes, way.gpu) for way in ways}
    kept: list[_Way] = []
    for way in ways:
        if not any(
            way.gpu.memory_mib <= each.gpu.memory_mib
            and able[way.gpu.name] <= able[each.gpu.name]
            and len(way.built.replaced) >= len(each.built.replaced)
            for each in kept
        ):
            kept.append(way)
    return kept
