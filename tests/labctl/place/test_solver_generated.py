"""500 generated problems: as good as an independent solver finds, valid, and the same in any order."""

import json
from dataclasses import replace
from typing import Any

import pytest

from labctl.place.problem import Option, Problem, Solution
from labctl.place.problem_json import dump, load
from labctl.place.problem_limits import placed_options, violations
from labctl.place.solver import Budget, solve
from labctl.place.tiers import changes
from tests.labctl.place.answers import LIBRARY_ONLY, applied, keeps_data_only, swapped, without
from tests.labctl.place.instances import MEDIUM, SMALL, TINY, Size, instance, shuffled
from tests.labctl.place.reference import evaluate, is_valid, tier_values

DEFAULT = Budget()
CHUNK = 20
CHUNKS = [
    *((TINY, start) for start in range(0, 240, CHUNK)),
    *((SMALL, start) for start in range(0, 180, CHUNK)),
    *((MEDIUM, start) for start in range(0, 80, CHUNK)),
]
NAMES = [f"{size.workloads} workloads, {start}" for size, start in CHUNKS]


def found_values(solution: Solution) -> list[object]:
    return [list(each.value) if isinstance(each.value, tuple) else each.value for each in solution.tiers]


def json_of(option: Option) -> dict[str, Any]:
    return {**vars(option), "ports": list(option.ports)}


def disagreement(problem: Problem, solution: Solution) -> str | None:
    """What is wrong with an answer; None when nothing is."""
    if broken := violations(problem, solution.choice):
        return f"breaks a limit: {broken}"
    document = json.loads(dump(problem))
    placed = {name: json_of(option) for name, option in placed_options(problem, solution.choice).items()}
    if not is_valid(document, placed):
        return "breaks a limit that only the reference sees"
    if evaluate(document, placed) != found_values(solution):
        return f"says {found_values(solution)} of what is {evaluate(document, placed)}"
    if not solution.optimal:
        return f"is not proven: {solution.tiers}"
    wanted = tier_values(dump(problem))
    return None if found_values(solution) == wanted else f"{found_values(solution)} instead of {wanted}"


def test_there_are_500() -> None:
    assert len({(size, start) for size, start in CHUNKS}) * CHUNK == 500


@pytest.mark.parametrize(("size", "start"), CHUNKS, ids=NAMES)
def test_answers_are_as_good_as_an_independent_solver_finds(size: Size, start: int) -> None:
    wrong = {}
    for seed in range(start, start + CHUNK):
        problem = instance(seed, size)
        # Every other one is not left to branch and bound.
        solution = solve(problem, LIBRARY_ONLY) if seed % 2 else solve(problem)
        if said := disagreement(problem, solution):
            wrong[seed] = said
    assert wrong == {}


@pytest.mark.parametrize(("size", "start"), CHUNKS[::3], ids=NAMES[::3])
def test_neither_order_nor_repetition_changes_an_answer(size: Size, start: int) -> None:
    for seed in range(start, start + CHUNK, 2):
        problem = instance(seed, size)
        other = shuffled(problem, seed)
        budget = LIBRARY_ONLY if seed % 4 else DEFAULT
        one, two, again = (solve(each, budget) for each in (problem, other, load(dump(problem))))
        assert one.tiers == two.tiers == again.tiers
        assert placed_options(problem, one.choice) == placed_options(other, two.choice)


@pytest.mark.parametrize(("size", "start"), CHUNKS[::3], ids=NAMES[::3])
def test_an_applied_plan_stays_as_it_is(size: Size, start: int) -> None:
    for seed in range(start, start + CHUNK):
        problem = instance(seed, size)
        first = solve(problem)
        running = applied(problem, first)
        second = solve(running)
        assert (
            placed_options(running, second.choice).keys() == placed_options(problem, first.choice).keys()
        ), seed
        assert moved(running, second) == set(), seed


def moved(running: Problem, solution: Solution) -> set[str]:
    """What runs and would be stopped or started anew."""
    placed = placed_options(running, solution.choice)
    off = {each.name for each in running.workloads if keeps_data_only(each)}
    return {each.name for each in running.workloads if changes(each, placed.get(each.name))} - off


@pytest.mark.parametrize("replaced", [False, True], ids=["dead", "swapped"])
@pytest.mark.parametrize(("size", "start"), CHUNKS[::4], ids=NAMES[::4])
def test_a_card_that_goes_moves_only_what_must_move(size: Size, start: int, replaced: bool) -> None:
    compared = 0
    for seed in range(start, start + CHUNK):
        problem = instance(seed, replace(size, fill=0.5))
        running = applied(problem, solve(problem))
        card = running.cards[seed % len(running.cards)].id
        after = swapped(running, card, "new") if replaced else without(running, card)
        solution = solve(after)
        hit = {each.name for each in after.workloads if each.incumbent and card in each.incumbent.cards}
        only_hit = solve(held(after, hit))
        if only_hit.tiers[0] == solution.tiers[0] and moved(after, only_hit) == hit:
            compared += 1
            assert moved(after, solution) == hit, seed
    assert compared > 2


def held(problem: Problem, movable: set[str]) -> Problem:
    """Only those may move: all others keep what they run, or stay off."""
    workloads = {each.name: each for each in problem.workloads}
    return replace(
        problem,
        options=tuple(
            each
            for each in problem.options
            if each.workload in movable
            or workloads[each.workload].incumbent is None
            or not changes(workloads[each.workload], each)
        ),
    )
