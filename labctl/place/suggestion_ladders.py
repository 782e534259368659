"""Which levers are worth a try for a refused workload: its own, those of the workloads in its way, and hardware."""

from collections.abc import Iterator
from dataclasses import replace

from labctl.place.additions import fits_a_slot
from labctl.place.options import Wish, offered
from labctl.place.placement import Placement
from labctl.place.rules import unsupported
from labctl.place.suggestion import KINDS, Alternatives
from labctl.place.suggestion_levers import Ladder, on_workload, wish_of
from labctl.place.suggestion_rig import (
    card_levers,
    cards_that_do,
    disk_added,
    limits_lowered,
    psu_enlarged,
    ram_added,
    usable_mib,
)
from labctl.place.suggestion_sharing import capped, in_turn, limits_lifted, ports_freed, together
from labctl.place.suggestion_targets import Target
from labctl.place.variants import USUAL_KV_TYPES
from labctl.place.what_if import with_added
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Host, Rig

_NO_KERNELS = {"dtype", "compute_capability"}
# So many equal cards at once, where one does not do.
_CARDS_AT_ONCE = (1, 2, 4)


def written(placement: Placement, name: str, target: Target, other: Alternatives) -> list[Ladder]:
    """What a person could write to get a target out of the way, that which takes least away first."""
    question = placement.question
    wish = wish_of(question, name)
    ladders: list[Ladder] = []
    match target.what:
        case "own":
            refused = next(each for each in placement.refused if each.workload == name)
            reasons = {each.reason for each in refused.refusals}
            ladders += on_workload(wish, other, every_format=bool(reasons & _NO_KERNELS))
            ladders += limits_lifted(wish, "pin")
            if "port" in reasons:
                ladders += ports_freed(wish)
        case "other":
            holder = wish_of(question, target.name)
            most_mib = max((card.usable_mib or 0 for card in question.rig.cards), default=0)
            ladders += on_workload(holder, other, every_format=False)
            ladders += capped(holder, most_mib)
            ladders += limits_lifted(holder, "move")
            ladders += together(wish.workload, holder.workload)
            ladders += in_turn(question, wish, holder)
        case "psu":
            ladders += limits_lowered(question.rig)
    return sorted((ladder for ladder in ladders if ladder), key=lambda each: KINDS.index(each[0].kind))


def bought(placement: Placement, name: str, target: Target, other: Alternatives) -> list[Ladder]:
    """What a person could buy to that end, each by itself."""
    rig, wish = placement.question.rig, wish_of(placement.question, name)
    match target.what:
        case "ram":
            return [ladder for ladder in ram_added(rig) if ladder]
        case "disk":
            return [ladder for ladder in disk_added(rig) if ladder]
        case "psu":
            return list(psu_enlarged(rig))
        case "card":
            return [
                ladder
                for host in _hosts(rig, wish)
                for ladder in _new_cards(rig, host, wish, other)
                if ladder
            ]
    return []


def _new_cards(rig: Rig, host: Host, wish: Wish, other: Alternatives) -> Iterator[Ladder]:
    """As few as hold it; those that the power supply bears first."""
    for count in _CARDS_AT_ONCE:
        priced, others = _cards(host, wish, other, count)
        if priced or others:
            ways = [card_levers(rig, host, gpus, count) for gpus in (priced, others)]
            yield from (as_it_is for as_it_is, _ in ways)
            yield from (with_psu for _, with_psu in ways)
            return


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


def _cards(host: Host, wish: Wish, other: Alternatives, count: int) -> tuple[list[Gpu], list[Gpu]]:
    """Cards of the catalogue of which so many would hold it: of known price, and the others."""
    limits = wish.workload.gpus
    able = [
        gpu
        for gpu in other.cards()
        if fits_a_slot(gpu) and (not limits.models or gpu.name in limits.models) and _runs(wish, gpu)
    ]
    if not able or (limits.count is not None and limits.count > count):
        return [], []
    need_mib = _need_mib(host, wish, max(able, key=usable_mib), count)
    return ([], []) if need_mib is None else cards_that_do(able, need_mib)


def _runs(wish: Wish, gpu: Gpu) -> bool:
    if wish.candidate is None:
        return True
    return any(
        unsupported(wish.candidate.engine, quant, kv_type, gpu) is None
        for quant in wish.candidate.quants
        for kv_type in wish.workload.kv_types or USUAL_KV_TYPES
    )


def _need_mib(host: Host, wish: Wish, largest: Gpu, count: int) -> int | None:
    """The least that it takes of each of so many cards; None where not even the largest hold it."""
    if wish.candidate is None:
        return wish.workload.vram_mib or 0
    bare = Rig("bare", (replace(host, cards=()),))
    offer = offered(wish, with_added(bare, largest, count, host.name))
    claims = [max(each.claims_mib.values()) for each in offer.options if len(each.claims_mib) == count]
    least = min(claims, default=None)
    return least if least is not None and least <= usable_mib(largest) else None
