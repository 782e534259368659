"""Why a placement differs from the plan that it went by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.place.placement import Placement
from labctl.place.problem import Option
from labctl.plan.diff import WorkloadChange, difference
from labctl.plan.keep import incumbents
from labctl.plan.plan import Plan


@dataclass(frozen=True)
class Move:
    """A change and its reason, a clause; None where the change says it all."""

    change: WorkloadChange
    why: str | None


def moves(
    kept: Plan, plan: Plan, placement: Placement, replaced: Mapping[str, str] | None = None
) -> tuple[Move, ...]:
    """By workload: all that would have to be started, stopped or started anew."""
    changes = difference(kept, plan).workloads
    return tuple(Move(each, _why(each, kept, plan, placement, replaced or {})) for each in changes)


def _why(
    change: WorkloadChange, kept: Plan, plan: Plan, placement: Placement, replaced: Mapping[str, str]
) -> str | None:
    name = change.workload
    if change.kind == "removed":
        return "no longer asked for"
    if name not in kept.workloads or change.kind == "changed":
        return None
    rig = placement.question.rig
    swapped = [card for card in change.cards_before if card in replaced]
    if swapped and {replaced.get(card, card) for card in change.cards_before} == set(change.cards_after):
        return "the card was swapped"
    if change.host_before not in {host.name for host in rig.hosts}:
        return f"{change.host_before} is gone"
    there = {card.id for card in rig.cards}
    gone = [card for card in change.cards_before if card not in there and card not in replaced]
    if gone:
        return f"{_words(gone)} {'is' if len(gone) == 1 else 'are'} gone"
    running = incumbents(kept, replaced)[name]
    own = [each for each in placement.problem.options if each.workload == name]
    if not any(each.variant_id == running.variant_id for each in own):
        return "it is asked for in another way now"
    kept_options = [
        each
        for each in own
        if each.variant_id == running.variant_id and _is_at(each, running.host, running.cards)
    ]
    if not any(_fits_alone(each, placement) for each in kept_options):
        where = _words(running.cards) or running.host
        return f"as it runs now it may not or does not fit on {where}"
    return _pushed_out(change, kept, plan, rebalance=placement.problem.rebalance)


def _is_at(option: Option, host: str, cards: Iterable[str]) -> bool:
    return option.host == host and set(option.claims_mib) == set(cards)


def _fits_alone(option: Option, placement: Placement) -> bool:
    usable = {card.id: card.usable_mib for card in placement.problem.cards}
    return all(claim <= usable[card] for card, claim in option.claims_mib.items())


def _pushed_out(change: WorkloadChange, kept: Plan, plan: Plan, *, rebalance: bool) -> str:
    """By whom: those that have come onto its cards, or grew there."""
    if rebalance:
        return "this is better, and --rebalance lets it move"
    newcomers = [
        other
        for other, workload in sorted(plan.workloads.items())
        if other != change.workload
        and set(workload.card_ids) & set(change.cards_before)
        and (other not in kept.workloads or kept.workloads[other].card_ids != workload.card_ids)
    ]
    if newcomers:
        return f"makes room for {_words(newcomers)}"
    return "others need what it had"


def _words(names: Iterable[str]) -> str:
    return " and ".join(names)
