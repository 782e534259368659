"""What a chosen option takes of each card, part by part: estimated once more, and held against what was solved with."""

from dataclasses import replace

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Engine, Estimate, PlaceEstimate, mib
from labctl.estimate.parts import card_parts
from labctl.place.fit import on_cards
from labctl.place.group import Group
from labctl.place.options import Wish
from labctl.place.problem import Option
from labctl.place.variants import variants
from labctl.plan.plan import CardClaim
from labctl.rig.rig import Card, Rig


def claims_of(wish: Wish, option: Option, rig: Rig) -> tuple[CardClaim, ...]:
    """One per card, in PCI order."""
    host = rig.host(option.host)
    cards = tuple(card for card in host.cards if card.id in option.claims_mib)
    if wish.candidate is None:
        return tuple(_declared(wish, option, card, position) for position, card in enumerate(cards))
    estimate = _estimated(wish, wish.candidate, option, Group(host, cards))
    claims = {card.id: mib(place.high) for card, place in zip(cards, estimate.cards, strict=False)}
    assert claims == dict(option.claims_mib), f"{wish.workload.name}: {claims} is not {option.claims_mib}"
    return tuple(
        estimated_claim(wish.candidate.engine, card.id, position, place)
        for position, (card, place) in enumerate(zip(cards, estimate.cards, strict=False))
    )


def estimated_claim(engine: Engine, card: str, position: int, place: PlaceEstimate) -> CardClaim:
    """What an estimate comes to on a card. Its cache in whole MiB, cut off, would be less than vLLM starts with."""
    return CardClaim(
        card=card,
        position=position,
        low_mib=place.low // MIB,
        expected_mib=mib(place.expected),
        high_mib=mib(place.high),
        parts_mib={str(part): amount for part, amount in card_parts(place).items()},
        kv_cache_bytes=place.of("kv_cache") if engine == "vllm" else None,
    )


def _declared(wish: Wish, option: Option, card: Card, position: int) -> CardClaim:
    """An engine that fills what it finds claims the card, whatever others happen to hold of it at the moment."""
    claim = option.claims_mib[card.id]
    if wish.workload.vram_mib:
        return CardClaim(card.id, position, claim, claim, claim)
    whole = max(0, (card.memory_mib or 0) - card.reserved_mib)
    return CardClaim(card.id, position, 0, whole, whole)


def _estimated(wish: Wish, candidate: Candidate, option: Option, group: Group) -> Estimate:
    variant = next(
        each
        for each in variants(wish.workload, candidate, group.host.ram_mib, wish.vision)
        if each.rank == option.rank
    )
    request = on_cards(variant.request, group, candidate.engine) if group.cards else variant.request
    if "tensor_split" in option.variant:
        request = replace(request, tensor_split=tuple(option.variant["tensor_split"]))
    return candidate.estimate(variant.quant, request)
