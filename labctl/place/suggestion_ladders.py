"""Which levers are worth a try for a refused workload: its own, those of the workloads in its way, and hardware."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from labctl.place.options import Wish, offered
from labctl.place.placement import Placement, Question
from labctl.place.rules import unsupported
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import KINDS, Alternatives
from labctl.place.suggestion_levers import Ladder, on_workload, wish_of
from labctl.place.suggestion_rig import (
    card_lever,
    cards_that_do,
    disk_added,
    limits_lowered,
    psu_enlarged,
    psu_lever,
    ram_added,
    spare_watts,
    swap_lever,
    usable_mib,
)
from labctl.place.suggestion_sharing import capped, in_turn, limits_lifted, ports_freed, together
from labctl.place.variants import USUAL_KV_TYPES
from labctl.place.what_if import with_added
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Host, Rig

# Workloads that are asked to give way, those with the largest claims first.
MOST_ASKED = 3
# So many equal cards at once, where one does not do.
_CARDS_AT_ONCE = (1, 2, 4)


def written(placement: Placement, refused: Refused, other: Alternatives) -> list[Ladder]:
    """What costs no money, that which takes least away first."""
    question = placement.question
    wish = wish_of(question, refused.workload)
    reasons = {each.reason for each in refused.refusals}
    lacks_kernels = bool(reasons) and reasons <= {"dtype", "compute_capability", "pinned_elsewhere"}
    own = [
        *on_workload(wish, other, every_format=lacks_kernels),
        *limits_lifted(wish, "pin"),
        *(ports_freed(wish) if "port" in reasons else ()),
        *(limits_lowered(question.rig) if "psu" in reasons else ()),
    ]
    others: list[Ladder] = []
    for name in _in_the_way(placement, refused):
        holder = wish_of(question, name)
        most_mib = max((card.usable_mib or 0 for card in question.rig.cards), default=0)
        others += [*on_workload(holder, other, every_format=False), *capped(holder, most_mib)]
        others += [*limits_lifted(holder, "move"), *together(wish.workload, holder.workload)]
        others += in_turn(question, wish, holder)
    ranked = [(ladder, False) for ladder in own if ladder] + [(ladder, True) for ladder in others if ladder]
    ranked.sort(key=lambda each: (KINDS.index(each[0][0].kind), each[1]))
    return [ladder for ladder, _ in ranked]


def _in_the_way(placement: Placement, refused: Refused) -> list[str]:
    """Placed workloads that hold something of a card or host where this one might be."""
    cards = {each.card for each in refused.refusals if each.card and each.reason in _TAKEN}
    hosts = {each.host for each in refused.refusals if each.reason in ("ram", "disk")}
    claims = {
        name: sum(mib for card, mib in option.claims_mib.items() if card in cards)
        + (option.ram_mib if option.host in hosts else 0)
        for name, option in placement.placed.items()
    }
    held = sorted((name for name in claims if claims[name]), key=lambda name: (-claims[name], name))
    return held[:MOST_ASKED]


_TAKEN = ("full", "fits_alone_but_outranked", "exclusive", "too_few_on_host")


def bought(placement: Placement, refused: Refused, other: Alternatives) -> Iterator[Ladder]:
    """What one purchase might do."""
    question = placement.question
    rig, wish = question.rig, wish_of(question, refused.workload)
    reasons = {each.reason for each in refused.refusals}
    if "psu" in reasons:
        yield from psu_enlarged(rig)
    if "ram" in reasons:
        yield from ram_added(rig)
    if "disk" in reasons:
        yield from disk_added(rig)
    for host in _hosts(rig, wish):
        for count in _CARDS_AT_ONCE:
            found = tuple(
                card_lever(rig, host, gpu, count)
                for gpu in _cards(host, wish, other, count, spare_watts(host))
            )
            if found:
                yield found
                break


def bought_together(
    placement: Placement, refused: Refused, other: Alternatives
) -> Iterator[tuple[Ladder, ...]]:
    """Two at once: a card in another's slot; or one more, and the power supply or the limits that it needs."""
    rig, wish = placement.question.rig, wish_of(placement.question, refused.workload)
    for host in _hosts(rig, wish):
        spare = spare_watts(host)
        for card in _least_card(host):
            stays = replace(host, cards=tuple(each for each in host.cards if each.id != card.id))
            fitting = _cards(stays, wish, other, 1, spare_watts(stays))
            larger = (gpu for gpu in fitting if usable_mib(gpu) > (card.usable_mib or 0))
            yield (tuple(swap_lever(rig, card, gpu) for gpu in larger),)
        if spare is None:
            continue
        for gpu in _cards(host, wish, other, 1, None):
            watts = gpu.tdp_watts or 0
            one_more = (card_lever(rig, host, gpu, 1),)
            yield from ((lower, one_more) for lower in limits_lowered(rig, watts))
            if supply := psu_lever(host, watts):
                yield ((supply,), one_more)


def _least_card(host: Host) -> list:
    """The one whose slot is best used for another; none where they are the machine itself."""
    cards = [card for card in host.cards if not card.gpu.unified_memory]
    return sorted(cards, key=lambda card: (card.usable_mib or 0, -card.index))[:1]


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


def _cards(host: Host, wish: Wish, other: Alternatives, count: int, most_watts: int | None) -> list[Gpu]:
    """Cards of the catalogue of which so many would hold it, least first."""
    limits = wish.workload.gpus
    if limits.count is not None and limits.count > count:
        return []
    able = [
        gpu
        for gpu in other.cards()
        if not gpu.unified_memory and (not limits.models or gpu.name in limits.models) and _runs(wish, gpu)
    ]
    if not able:
        return []
    need_mib = _need_mib(host, wish, max(able, key=usable_mib), count)
    if need_mib is None:
        return []
    each_watts = None if most_watts is None else most_watts // count
    return list(cards_that_do(able, host.cards, need_mib, each_watts))


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
