"""The seven tiers of a choice: what `problem` calls best, computed from the definitions."""

from typing import Literal

from labctl.place.problem import Choice, Option, Problem, Value, Workload
from labctl.place.problem_limits import Usage

Sense = Literal["most", "least"]
SENSES: tuple[Sense, ...] = ("most", "least", "least", "most", "least", "least", "most")


def values(problem: Problem, choice: Choice) -> tuple[Value, ...]:
    """Of all seven tiers, in order. Of a choice that breaks a limit they mean nothing."""
    usage = Usage(problem, choice)
    placed = usage.placed
    by_priority = [
        [each for each in problem.workloads if each.priority == priority and each.name in placed]
        for priority in problem.priorities
    ]
    single = {next(iter(each.claims_mib)) for each in placed.values() if len(each.claims_mib) == 1}
    return (
        tuple(len(each) for each in by_priority),
        None
        if problem.rebalance
        else sum(changes(each, placed.get(each.name)) for each in problem.workloads),
        tuple(sum(placed[workload.name].rank for workload in each) for each in by_priority),
        sum(
            each.load * (placed[each.name].decitokens_per_second or 0)
            for each in problem.workloads
            if each.name in placed
        ),
        sum(len(card.nvlink) for card in problem.cards if card.id in single),
        len({card for each in placed.values() for card in each.claims_mib}),
        max((usage.free_mib(card) for card in problem.cards), default=0),
    )


def changes(workload: Workload, option: Option | None) -> bool:
    """Whether what runs would have to be stopped or started anew; False for what does not run yet."""
    running = workload.incumbent
    if running is None:
        return False
    return (
        option is None
        or option.host != running.host
        or set(option.claims_mib) != set(running.cards)
        or option.variant_id != running.variant_id
    )


def better(one: tuple[Value, ...], other: tuple[Value, ...]) -> bool:
    """Whether the values of one choice are better than those of another, of the same problem."""
    return signed(one) > signed(other)


def signed(found: tuple[Value, ...]) -> tuple[tuple[int, ...], ...]:
    """For comparing: more is better in every place, the first that differs decides."""
    vectors = [value if isinstance(value, tuple) else (value or 0,) for value in found]
    return tuple(
        vector if sense == "most" else tuple(-each for each in vector)
        for vector, sense in zip(vectors, SENSES, strict=True)
    )
