"""Which limit each card gets, by what a person asks for; refused whole where any part of it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.errors import BadInput
from labctl.power.card import PoweredCard
from labctl.power.names import refuse_unknown, rule
from labctl.power.split import least_watts, most_watts, split


@dataclass(frozen=True)
class Wanted:
    """What is asked for, in watts. limits: by UUID, by model, or for `all`; the closest to one card counts.

    budget_watts: for all cards together; those without a limit share what the others leave of it. limits_where,
    budget_where: what to call them in messages.
    """

    limits: Mapping[str, int] = field(default_factory=dict)
    budget_watts: int | None = None
    limits_where: str = "gpu_power.limits"
    budget_where: str = "gpu_power.budget_watts"

    def __bool__(self) -> bool:
        return bool(self.limits) or self.budget_watts is not None


def limits(cards: Sequence[PoweredCard], wanted: Wanted) -> dict[str, int]:
    """The limit of each card that gets one, by its id.

    Raises BadInput for a name that no card here has, a limit outside a card's range, and a budget that the cards cannot
    be brought under.
    """
    for name in wanted.limits:
        refuse_unknown(name, cards, wanted.limits_where)
    rules = {card.id: key for card in cards if (key := rule(card, wanted.limits)) is not None}
    for card in cards:
        if card.id in rules:
            _refuse_out_of_range(card, rules[card.id], wanted)
    found = {card_id: wanted.limits[key] for card_id, key in rules.items()}
    if wanted.budget_watts is not None:
        rest = [card for card in cards if card.id not in found]
        _refuse_budget(cards, rest, found, wanted)
        found |= split(rest, wanted.budget_watts - sum(found.values()))
    return {card.id: found[card.id] for card in cards if card.id in found}


def _refuse_out_of_range(card: PoweredCard, name: str, wanted: Wanted) -> None:
    watts = wanted.limits[name]
    least, most = card.min_watts, card.max_watts
    if card.default_watts is None:
        raise _cannot_be_set(card, wanted.limits_where)
    if (least is not None and watts < least) or (most is not None and watts > most):
        raise BadInput(
            f"{_named(card)} takes no such limit",
            where=f"{wanted.limits_where}: {name}",
            found=f"{watts} W",
            expected=f"{least or 'its least'} to {most or 'its most'} W",
            hint=f"its default is {card.default_watts} W; nothing was changed",
        )


def _refuse_budget(
    cards: Sequence[PoweredCard], rest: Sequence[PoweredCard], fixed: Mapping[str, int], wanted: Wanted
) -> None:
    budget = wanted.budget_watts or 0
    for card in rest:
        if card.default_watts is None:
            raise _cannot_be_set(card, wanted.budget_where)
    least = sum(fixed.values()) + sum(map(least_watts, rest))
    if not cards or budget >= least:
        return
    parts = f"{len(rest)} at their least" + (f", {len(fixed)} at their limits" if fixed else "")
    most = sum(fixed.values()) + sum(map(most_watts, rest))
    raise BadInput(
        f"the budget is less than {len(cards)} cards need" if len(cards) > 1 else "the budget is too small",
        where=wanted.budget_where,
        found=f"{budget} W",
        expected=f"{least} W or more ({parts})",
        hint=f"{most} W is all that they would use; or take a card out; nothing was changed",
    )


def _cannot_be_set(card: PoweredCard, where: str) -> BadInput:
    return BadInput(
        f"the power limit of {_named(card)} cannot be set",
        where=where,
        found="a card whose default limit is not known",
        expected="a card whose driver tells its limits",
        hint="name the others by model or UUID; in a rig file, say power_default_watts",
    )


def _named(card: PoweredCard) -> str:
    return f"{card.model} {card.id}"
