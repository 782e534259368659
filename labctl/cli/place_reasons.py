"""Why a workload has no place, in words: one row for all cards that say the same. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from labctl.cli.place_picture import cards_named
from labctl.place.drivers import no_common_driver, too_old_a_driver
from labctl.place.placement import Placement
from labctl.place.problem import Reason, Workload, may_share
from labctl.place.rules import unsupported
from labctl.place.solver_explain import Refusal, Refused
from labctl.place.variants import USUAL_KV_TYPES

_REASONS: dict[Reason, str] = {
    "too_small": "the card is too small",
    "full": "others take too much of it",
    "fits_alone_but_outranked": "a workload of higher priority holds it",
    "too_few_on_host": "not enough such cards on this host",
    "compute_capability": "its engine needs a newer card",
    "dtype": "its engine has no kernels for this format there",
    "driver": "its engine needs a newer driver",
    "ram": "not enough RAM",
    "disk": "not enough disk",
    "port": "its port is taken",
    "psu": "the power supply would be overloaded",
    "pinned_elsewhere": "not allowed there, or its data is elsewhere",
    "exclusive": "it may not share that card",
    "mig": "the card is divided (MIG)",
    "compute_mode": "the card's compute mode keeps others out",
    "unknown_memory": "nobody knows how much memory it has",
}


@dataclass(frozen=True)
class RefusalRow:
    """Cards that say the same, or hosts. needs_mib, free_mib: None of a host, and where there is nothing to need."""

    where: str
    needs_mib: int | None
    free_mib: int | None
    why: str


def refusal_rows(placement: Placement, refused: Refused) -> tuple[RefusalRow, ...]:
    """Every card, in the rig's order."""
    said = [(each, _why(placement, refused.workload, each)) for each in refused.refusals]

    def alike(pair: tuple[Refusal, str]) -> tuple[object, ...]:
        refusal, why = pair
        return (refusal.host, refusal.card is None, refusal.needs_mib, refusal.free_mib, why)

    return tuple(_row(placement, [pair[0] for pair in group], key[-1]) for key, group in groupby(said, alike))


def _row(placement: Placement, alike: list[Refusal], why: object) -> RefusalRow:
    first = alike[0]
    named = {each.card for each in alike}
    cards = [card for card in placement.question.rig.cards if card.id in named]
    return RefusalRow(
        cards_named(cards) or first.host,
        first.needs_mib if first.card else None,
        first.free_mib if first.card else None,
        str(why),
    )


def _why(placement: Placement, name: str, refusal: Refusal) -> str:
    """Who stands in the way is said where the answer knows it."""
    workloads = {each.name: each for each in placement.problem.workloads}
    asking = workloads[name]
    there = [workloads[each] for each in placement.usage.on(refusal.card)] if refusal.card else []
    if refusal.reason == "fits_alone_but_outranked":
        higher = [each for each in there if each.priority > asking.priority]
        return f"{_names(higher)} came first, by priority" if higher else _REASONS[refusal.reason]
    if refusal.reason == "exclusive":
        return _exclusive(placement, asking, there, refusal)
    if refusal.reason == "full" and there:
        return f"beside {_names(there)} too little is left"
    if refusal.reason == "driver":
        return _no_driver(placement, name, refusal) or _REASONS[refusal.reason]
    if refusal.reason in {"dtype", "compute_capability"}:
        return _no_kernels(placement, name, refusal) or _REASONS[refusal.reason]
    if refusal.reason == "unknown_memory" and _changes_soon(placement, refusal):
        return "its memory changes with the next reboot (ECC)"
    if refusal.reason == "ram" and (ram := placement.question.rig.host(refusal.host).ram_mib):
        return f"not enough RAM: {ram / 1024:.0f} GiB for all"
    return _REASONS[refusal.reason]


def _no_driver(placement: Placement, name: str, refusal: Refusal) -> str | None:
    host = placement.question.rig.host(refusal.host)
    service = next(each.service for each in placement.question.wishes if each.workload.name == name)
    card = next((each for each in host.cards if each.id == refusal.card), None)
    too_old = too_old_a_driver(service, host.driver, card.gpu) if card else None
    return too_old or no_common_driver(card.gpu for card in host.cards if card.gpu.capability >= (5, 0))


def _no_kernels(placement: Placement, name: str, refusal: Refusal) -> str | None:
    """What of the first format that was asked for is in the way."""
    wish = next(each for each in placement.question.wishes if each.workload.name == name)
    card = next((each for each in placement.question.rig.cards if each.id == refusal.card), None)
    if wish.candidate is None or card is None:
        return None
    kv_type = (wish.workload.kv_types or USUAL_KV_TYPES)[0]
    found = unsupported(wish.candidate.engine, wish.candidate.quants[0], kv_type, card.gpu)
    return found.sentence if found else None


def _changes_soon(placement: Placement, refusal: Refusal) -> bool:
    return any(
        card.id == refusal.card and card.ecc_pending is not None for card in placement.question.rig.cards
    )


def _exclusive(placement: Placement, asking: Workload, there: list[Workload], refusal: Refusal) -> str:
    against = [each for each in there if not may_share(asking, each)]
    if not against:
        card = next(each for each in placement.problem.cards if each.id == refusal.card)
        return (
            "it wants a card of its own; another process is there"
            if card.foreign_process
            else _REASONS["exclusive"]
        )
    apart = [each for each in against if each.name in asking.apart_from or asking.name in each.apart_from]
    word = "kept apart from" if apart == against else "may not share the card with"
    return f"{word} {_names(against)}"


def _names(workloads: Iterable[Workload]) -> str:
    return ", ".join(each.name for each in sorted(workloads, key=lambda each: (-each.priority, each.name)))
