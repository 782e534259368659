"""The comparisons of `test_solver_generated` can fail: with each bug planted, some seed gives a wrong answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from labctl.place import (
    problem_limits,
    solver_instance,
    solver_model,
    solver_search,
    solver_state,
    solver_tiers,
)
from labctl.place.problem import Problem, Solution
from labctl.place.problem_limits import violations
from labctl.place.solver import Budget, solve
from labctl.place.tiers import changes
from tests.labctl.place.answers import LIBRARY_ONLY, applied
from tests.labctl.place.instances import SMALL, TINY, instance, shuffled
from tests.labctl.place.test_solver_generated import disagreement, moved

DEFAULT = Budget()
TRIES = [*((seed, TINY) for seed in range(150)), *((seed, SMALL) for seed in range(60))]
Plant = Callable[[pytest.MonkeyPatch], None]


def fails(wrong: Callable[[Problem, int], object]) -> bool:
    return any(wrong(instance(seed, size), seed) for seed, size in TRIES)


def is_worse(budget: Budget) -> bool:
    return fails(lambda problem, _: disagreement(problem, solve(problem, budget)))


def forget_sharing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_instance, "may_share", lambda *_: True)


def forget_time_sharing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_instance, "time_share_sets", lambda _: ())


def forget_kept_hosts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_instance, "kept_host", lambda *_: None)


def prune_without_regard_to_incumbents(patch: pytest.MonkeyPatch) -> None:
    honest = solver_instance._dominates
    patch.setattr(
        solver_instance,
        "_dominates",
        lambda one, other: honest(replace(one, unchanged=1), other),
    )


def prune_by_rank_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_instance, "_dominates", lambda one, other: one.rank <= other.rank)


def forget_speed(patch: pytest.MonkeyPatch) -> None:
    honest = solver_search.scores
    patch.setattr(
        solver_search,
        "scores",
        lambda made: [score - each.speed for score, each in zip(honest(made), made.candidates, strict=True)],
    )


def all_cards_alike(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        solver_instance.Instance, "_twins", lambda self: [list(range(len(self.cards)))] if self.cards else []
    )


def open_too_many_cards(patch: pytest.MonkeyPatch) -> None:
    honest = solver_state.State.cards_more
    patch.setattr(solver_state.State, "cards_more", lambda self, needed: honest(self, needed) + 1)


def add_up_sets(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_state.State, "_more", lambda *arguments: arguments[-1])


def never_give_up_a_first_answer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_tiers.TierSolver, "_take", lambda *_: None)


def forget_to_hold_a_tier(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_tiers.TierSolver, "_hold", lambda *_: None)


def narrow_too_much(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_tiers.TierSolver, "_fewest_cards", lambda self: len(self._instance.cards))


def forget_peaks(patch: pytest.MonkeyPatch) -> None:
    honest = solver_model.Model.limit

    def limit(self: solver_model.Model, terms: dict[int, int], most: int) -> None:
        if not (most == 0 and len(terms) > 1 and list(terms.values())[-1] == -1 and max(terms.values()) > 1):
            honest(self, terms, most)

    patch.setattr(solver_model.Model, "limit", limit)


@pytest.mark.parametrize(
    "plant",
    [
        forget_sharing,
        forget_time_sharing,
        forget_kept_hosts,
        prune_without_regard_to_incumbents,
        prune_by_rank_alone,
        forget_speed,
        all_cards_alike,
        open_too_many_cards,
        add_up_sets,
    ],
)
def test_a_bug_in_the_search_is_seen(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert is_worse(DEFAULT)


@pytest.mark.parametrize(
    "plant", [never_give_up_a_first_answer, forget_to_hold_a_tier, narrow_too_much, forget_peaks]
)
def test_a_bug_around_the_library_is_seen(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert is_worse(LIBRARY_ONLY)


def test_an_oversubscribed_card_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_state.State, "fits", lambda *_: True)
    assert fails(lambda problem, _: violations(problem, solve(problem, Budget(steps=10**9)).choice))


def test_an_answer_that_hangs_on_the_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_position(option: Any) -> tuple[object, ...]:
        return (option.workload,)

    for key in ("quick_key", "option_key"):
        monkeypatch.setattr(solver_instance, key, by_position)
    assert fails(lambda problem, seed: _placed(problem) != _placed(shuffled(problem, seed)))


def _placed(problem: Problem) -> object:
    return problem_limits.placed_options(problem, solve(problem).choice)


def test_a_plan_that_does_not_stay_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fails(lambda problem, _: moved(applied(problem, solve(problem)), _again(problem)))
    monkeypatch.setattr(solver_instance, "changes", lambda *each: not changes(*each))
    assert fails(lambda problem, _: moved(applied(problem, solve(problem)), _again(problem)))


def _again(problem: Problem) -> Solution:
    return solve(applied(problem, solve(problem)))
