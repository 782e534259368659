"""When a card dies or is swapped, as many incumbents change as an independent solver's second tier says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from labctl.place import solver_instance
from labctl.place.problem import Problem
from labctl.place.problem_json import dump
from labctl.place.solver import solve
from labctl.place.tiers import changes
from tests.labctl.place.answers import applied, keeps_data_only, swapped, without
from tests.labctl.place.instances import SMALL, TINY, Size, instance
from tests.labctl.place.reference import tier_values
from tests.labctl.place.test_solver_generated import moved

TRIES = [*((seed, TINY) for seed in range(1000, 1040)), *((seed, SMALL) for seed in range(1000, 1004))]
Change = Callable[[Problem, str], Problem]


def swap(problem: Problem, card: str) -> Problem:
    return swapped(problem, card, "new")


def too_many(change: Change, seed: int, size: Size) -> str | None:
    """What is wrong with the moves after a card went; None when nothing is."""
    problem = instance(seed, replace(size, fill=0.7))
    running = applied(problem, solve(problem))
    after = change(running, running.cards[seed % len(running.cards)].id)
    found = moved(after, solve(after))
    off = sum(keeps_data_only(each) for each in after.workloads)
    must = tier_values(dump(after))[1] - off
    return None if len(found) == must else f"{len(found)} move, and {must} must"


@pytest.mark.parametrize("change", [without, swap], ids=["dead", "swapped"])
def test_only_what_must_move_moves(change: Change) -> None:
    assert {seed: said for seed, size in TRIES if (said := too_many(change, seed, size))} == {}


@pytest.mark.parametrize("change", [without, swap], ids=["dead", "swapped"])
def test_a_solver_that_counts_no_moves_is_seen(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = changes
    monkeypatch.setattr(solver_instance, "changes", lambda *each: not honest(*each))
    assert any(too_many(change, seed, size) for seed, size in TRIES)
