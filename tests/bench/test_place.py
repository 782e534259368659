"""What the placement benchmark compares: it can tell a wrong answer, a failed process, and what greedy leaves over."""

import subprocess

import pytest

from labctl.place.problem import Option, Solution, Tier, Workload
from tests.bench import place as bench
from tests.bench.place_greedy import first_fit_decreasing, most_free_first, spread, unplaced
from tests.labctl.place.answers import lab, on_each
from tests.labctl.place.instances import TINY, instance
from tests.labctl.place.reference_cp_sat import Reference


def test_both_solvers_prove_the_same_and_take_their_time() -> None:
    found = bench.compare(instance(3, TINY))
    assert found.solution.optimal
    assert found.plain_proven
    assert found.ratio == found.seconds / found.plain_seconds > 0


def test_values_that_differ_end_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Reference.solve

    def wrong(reference: Reference) -> list[object]:
        return [*right(reference)[:-1], -1]

    monkeypatch.setattr(Reference, "solve", wrong)
    with pytest.raises(AssertionError, match="instead of"):
        bench.compare(instance(3, TINY))


def test_a_process_that_fails_is_not_measured() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        bench.startup(1, command=("-m", "labctl", "place", "no-such-file.yaml"))


def test_the_measured_command_places_everything() -> None:
    taken = bench.startup(1)
    assert len(taken.first.seconds) == len(taken.second.seconds) == 1


def test_gaps_name_what_is_open() -> None:
    tiers = (Tier((2, 1), (2, 1)), Tier(None, None), Tier((4,), (3,)))
    assert bench.gaps(Solution({}, tiers, optimal=False)) == "1:proven 2:proven 3:4/3"


def test_greedy_orders_leave_over_what_an_exact_answer_places() -> None:
    workloads = tuple(Workload(name) for name in ("a", "b", "c"))
    # Asked for first: 60 of 100 each. Only `c` may be had smaller, and only `b` fits the small card.
    options = (
        *on_each(1, "a", 60),
        *on_each(2, "b", 40),
        Option("c", "h", {"c0": 60}),
        Option("c", "h", {"c0": 40}, rank=1),
    )
    problem = lab(workloads, options, usable_mib=(100, 50))
    left = {
        greedy.__name__: unplaced(problem, greedy)
        for greedy in (first_fit_decreasing, most_free_first, spread)
    }
    assert left == {"first_fit_decreasing": [], "most_free_first": ["c"], "spread": ["c"]}
    found = bench.compare(problem)
    assert bench.left_over(problem, found.solution).startswith(
        "left over of 3: exact 0, first-fit decreasing 0"
    )
