"""What `labctl advise --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.errors import SCHEMA_VERSION
from labctl.place.additions import slots
from labctl.place.advice import Advice, Advised
from labctl.place.placement import Placement
from labctl.place.prices import GIVEN
from labctl.rig.rig import Host


def advise_document(advice: Advice) -> dict[str, object]:
    """The answer as one JSON document. Every key is always there."""
    before = advice.before
    return {
        "schema_version": SCHEMA_VERSION,
        "fits": not before.refused,
        "unplaced": [each.workload for each in before.refused],
        "currency": advice.market.currency,
        "budget": advice.market.budget,
        "additions": [_advised(each, before) for each in advice.now],
        "with_power_supply": [_advised(each, before) for each in advice.with_psu],
        "over_budget": None if advice.over_budget is None else _advised(advice.over_budget, before),
        "closest": None if advice.closest is None else _advised(advice.closest, before),
        "short": [asdict(each) for each in advice.short],
        "unchecked": [
            {"host": host.name, "missing": [key for key, value in _checks(host) if value is None]}
            for host in before.question.rig.hosts
        ],
        "complete": advice.complete,
        "assumptions": list(before.question.assumptions),
    }


def _checks(host: Host) -> tuple[tuple[str, object], ...]:
    return ("pcie_slots", slots(host)), ("psu_watts", host.psu_watts)


def _advised(advised: Advised, before: Placement) -> dict[str, object]:
    addition, price = advised.addition, advised.price
    return {
        "gpu": addition.gpu.name,
        "count": addition.count,
        "host": addition.host,
        "cost": advised.cost,
        "price": None
        if price is None
        else {
            "amount": price.amount,
            "used": price.used,
            "seen": price.seen,
            "source": None if price.source == GIVEN else price.source,
        },
        "replaces": [card.id for card in addition.replaced],
        "power_limits": dict(addition.limits),
        "lanes": None if addition.lanes is None else list(addition.lanes),
        "power": asdict(addition.power),
        "psu_watts_needed": addition.psu_watts_needed,
        "unplaced": [each.workload for each in advised.placement.refused],
        "tokens_per_second": {
            name: {"before": _speed(before, name), "after": _speed(advised.placement, name)}
            for name in advised.placement.placed
        },
    }


def _speed(placement: Placement, name: str) -> float | None:
    option = placement.placed.get(name)
    if option is None or option.decitokens_per_second is None:
        return None
    return option.decitokens_per_second / 10
