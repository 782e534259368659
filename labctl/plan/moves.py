"""Why a placement differs from the plan that it went by."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.place.placement import Placement
from labctl.place.problem import Incumbent, Option
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
    """By workload: all that the plan says otherwise than the kept one."""
    changes = difference(kept, plan).workloads
    return tuple(Move(each, _why(each, kept, plan, placement, replaced or {})) for each in changes)


def _why(
    change: WorkloadChange, kept: Plan, plan: Plan, placement: Placement, replaced: Mapping[str, str]
) -> str | None:
    name = change.workload
    if change.kind == "removed":
        return "no longer asked for"
    ran, runs = kept.workloads.get(name), plan.workloads.get(name)
    if ran is None or (change.kind == "changed" and runs is not None and ran.variant == runs.variant):
        return None
    return _gone(change, placement, replaced) or _offered(change, kept, plan, placement, replaced)


def _gone(change: WorkloadChange, placement: Placement, replaced: Mapping[str, str]) -> str | None:
    """What it ran on that is no longer there."""
    rig = placement.question.rig
    if change.host_before not in {host.name for host in rig.hosts}:
        return f"{change.host_before} is gone"
    swapped = not set(replaced).isdisjoint(change.cards_before)
    if swapped and {replaced.get(card, card) for card in change.cards_before} == set(change.cards_after):
        return "the card was swapped"
    there = {card.id for card in rig.cards}
    gone = [card for card in change.cards_before if card not in there and card not in replaced]
    return f"{_words(gone)} {'is' if len(gone) == 1 else 'are'} gone" if gone else None


def _offered(
    change: WorkloadChange, kept: Plan, plan: Plan, placement: Placement, replaced: Mapping[str, str]
) -> str:
    """Why it does not run on as it did, though its cards are there."""
    running = incumbents(kept, replaced)[change.workload]
    own = [each for each in placement.problem.options if each.workload == change.workload]
    ways = [each for each in own if each.variant_id == running.variant_id]
    if not ways:
        return "as the workloads file asks now"
    where = _words(running.cards) or running.host
    barred = next(each.barred for each in placement.problem.workloads if each.name == change.workload)
    if set(running.cards) & set(barred):
        return f"it may not be on {where} now"
    if not any(_is_at(each, running) and _fits_alone(each, placement) for each in ways):
        return f"as it runs now it does not fit on {where}"
    return _pushed_out(change, kept, plan, rebalance=placement.problem.rebalance)


def _is_at(option: Option, running: Incumbent) -> bool:
    return option.host == running.host and set(option.claims_mib) == set(running.cards)


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
        and (other not in kept.workloads or kept.workloads[other].cards != workload.cards)
    ]
    if newcomers:
        return f"makes room for {_words(newcomers)}"
    return "others need what it had"


def _words(names: Iterable[str]) -> str:
    return " and ".join(names)
