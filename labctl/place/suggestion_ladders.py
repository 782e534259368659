"""Which levers are worth a try for a refused workload: its own, those of the workloads in its way, and hardware."""

from labctl.place.placement import Placement
from labctl.place.suggestion import KINDS, Alternatives
from labctl.place.suggestion_cards import cards_added
from labctl.place.suggestion_levers import Ladder, on_workload, wish_of
from labctl.place.suggestion_rig import disk_added, driver_renewed, limits_lowered, psu_enlarged, ram_added
from labctl.place.suggestion_sharing import (
    best_free_mib,
    capped,
    given_a_model,
    in_turn,
    limits_lifted,
    ports_freed,
    together,
)
from labctl.place.suggestion_targets import Target

_NO_KERNELS = {"dtype", "compute_capability"}


def written(placement: Placement, name: str, target: Target, other: Alternatives) -> list[Ladder]:
    """What a person could write to get a target out of the way, that which takes least away first."""
    question = placement.question
    wish = wish_of(question, name)
    most_mib = max((card.usable_mib or 0 for card in question.rig.cards), default=0)
    ladders: list[Ladder] = []
    match target.what:
        case "own":
            refused = next(each for each in placement.refused if each.workload == name)
            reasons = {each.reason for each in refused.refusals}
            ladders += on_workload(wish, other, every_format=bool(reasons & _NO_KERNELS))
            ladders += capped(wish, most_mib, best_free_mib(placement))
            ladders += given_a_model(wish, other)
            ladders += limits_lifted(wish, "pin")
            if "port" in reasons:
                ladders += ports_freed(wish)
        case "other":
            holder = wish_of(question, target.name)
            ladders += on_workload(holder, other, every_format=False)
            ladders += capped(holder, most_mib)
            ladders += limits_lifted(holder, "move")
            ladders += together(wish.workload, holder.workload)
            ladders += in_turn(question, wish, holder)
        case "psu":
            ladders += limits_lowered(question.rig)
        case "driver":
            ladders += driver_renewed(question.rig, wish.service)
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
            return cards_added(placement, wish, other)
    return []
