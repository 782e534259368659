"""How others place, as far as an order of trying says it, on problems of ours. Every hard limit is kept."""

from collections.abc import Callable, Iterable

from labctl.place.problem import Problem
from labctl.place.solver_instance import Candidate, Instance
from labctl.place.solver_state import State

Greedy = Callable[[Instance, State], Iterable[Iterable[int]]]


def unplaced(problem: Problem, greedy: Greedy) -> list[str]:
    """Names of the workloads that are left over."""
    instance = Instance(problem)
    state = State(instance)
    placed = set()
    for tries in greedy(instance, state):
        for number in tries:
            candidate = instance.candidates[number]
            if state.fits(candidate):
                state.place(candidate)
                placed.add(candidate.workload)
                break
    return [each.name for number, each in enumerate(instance.workloads) if number not in placed]


def first_fit_decreasing(instance: Instance, state: State) -> Iterable[Iterable[int]]:
    """The largest first, on the first card that takes it; every variant is tried, the preferred first."""
    del state
    by_size = sorted(instance.of, key=lambda mine: -max((claimed(instance, n) for n in mine), default=0))
    for mine in by_size:
        yield sorted(mine, key=lambda n: (instance.candidates[n].rank, instance.candidates[n].cards))


def most_free_first(instance: Instance, state: State) -> Iterable[Iterable[int]]:
    """Ollama: as they come and as asked for, where most is free; several cards only when one is not enough."""
    for mine in instance.of:
        yield sorted(
            as_asked(instance, mine), key=lambda n: (len(cards(instance, n)), -free(instance, state, n), n)
        )


def spread(instance: Instance, state: State) -> Iterable[Iterable[int]]:
    """GPUStack: as they come, as asked for, fewest cards, and of those the least allocated share."""
    for mine in instance.of:
        yield sorted(
            as_asked(instance, mine), key=lambda n: (len(cards(instance, n)), share(instance, state, n), n)
        )


def as_asked(instance: Instance, mine: list[int]) -> list[int]:
    """Neither of them takes another quantization or context by itself."""
    best = min((instance.candidates[n].rank for n in mine), default=0)
    return [n for n in mine if instance.candidates[n].rank == best]


def cards(instance: Instance, number: int) -> tuple[int, ...]:
    return instance.candidates[number].cards


def claimed(instance: Instance, number: int) -> int:
    candidate: Candidate = instance.candidates[number]
    return sum(amount for resource, amount in candidate.needs if resource < len(instance.cards))


def free(instance: Instance, state: State, number: int) -> int:
    return min((state.free_mib(card) for card in cards(instance, number)), default=0)


def share(instance: Instance, state: State, number: int) -> float:
    used = [(state.used[card], instance.cards[card].usable_mib) for card in cards(instance, number)]
    return sum(taken / usable for taken, usable in used if usable)
