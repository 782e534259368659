"""Which limit each card gets, by what a person asks for; refused whole where any part of it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from labctl.errors import BadInput
from labctl.power.card import PoweredCard
from labctl.power.split import least_watts, most_watts, split

ALL = "all"
UUID_PREFIX = "GPU-"


@dataclass(frozen=True)
class Wanted:
    """What is asked for, in watts. limits: by UUID, by model, or for ALL; the closest to one card counts.

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
        _refuse_unknown(name, cards, wanted)
    rules = {card.id: rule for card in cards if (rule := _rule(card, wanted)) is not None}
    for card in cards:
        if card.id in rules:
            _refuse_out_of_range(card, rules[card.id], wanted)
    found = {card_id: wanted.limits[rule] for card_id, rule in rules.items()}
    if wanted.budget_watts is not None:
        rest = [card for card in cards if card.id not in found]
        _refuse_budget(cards, rest, found, wanted)
        found |= split(rest, wanted.budget_watts - sum(found.values()))
    return {card.id: found[card.id] for card in cards if card.id in found}


def _rule(card: PoweredCard, wanted: Wanted) -> str | None:
    """The key of the limit that counts for a card."""
    if card.id in wanted.limits:
        return card.id
    by_model = [name for name in wanted.limits if card.is_called(name)]
    return by_model[0] if by_model else ALL if ALL in wanted.limits else None


def _refuse_unknown(name: str, cards: Sequence[PoweredCard], wanted: Wanted) -> None:
    if name == ALL or any(name == card.id or card.is_called(name) for card in cards):
        return
    is_id = name.startswith(UUID_PREFIX) or "/" in name
    here = sorted({card.id if is_id else card.model for card in cards})
    near = get_close_matches(name, here, n=1, cutoff=0.7)
    meant = f"did you mean {near[0]}? " if near else "`labctl gpus --json` lists the cards; "
    raise BadInput(
        "no card here has this UUID" if is_id else "no card here is of this model",
        where=wanted.limits_where,
        found=name,
        expected=", ".join(here) or "a card",
        hint=f"{meant}nothing was changed",
    )


def _refuse_out_of_range(card: PoweredCard, rule: str, wanted: Wanted) -> None:
    watts = wanted.limits[rule]
    least, most = card.min_watts, card.max_watts
    if card.default_watts is None:
        raise _cannot_be_set(card, wanted.limits_where)
    if (least is not None and watts < least) or (most is not None and watts > most):
        raise BadInput(
            f"{_named(card)} takes no such limit",
            where=f"{wanted.limits_where}: {rule}",
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
