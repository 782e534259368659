"""Each rule of the placement problem by itself, answered by both ways of solving."""

from dataclasses import replace

import pytest

from labctl.errors import BadInput
from labctl.place.problem import Card, Host, Incumbent, Option, Problem, Workload
from labctl.place.problem_limits import violations
from labctl.place.solver import Budget, solve
from tests.labctl.place.answers import LIBRARY_ONLY, answer, cards_of, lab, on_each, tier

A, B, C = Workload("a"), Workload("b"), Workload("c")


def test_nothing_to_place() -> None:
    assert answer(Problem((), (), (), ())) == {}
    assert [each.value for each in solve(Problem((), (), (), ())).tiers] == [(), 0, (), 0, 0, 0, 0]


def test_a_card_holds_what_it_can_to_the_mib() -> None:
    options = (*on_each(1, "a", 60), *on_each(1, "b", 40))
    assert len(answer(lab((A, B), options, usable_mib=(100,)))) == 2
    assert len(answer(lab((A, B), options, usable_mib=(99,)))) == 1


def test_the_higher_priority_is_placed() -> None:
    workloads = (replace(A, priority=10), replace(B, priority=20))
    assert answer(lab(workloads, (*on_each(1, "a", 60), *on_each(1, "b", 60)), usable_mib=(100,))) == {
        "b": ("c0",)
    }


def test_one_of_high_priority_outweighs_two_of_low() -> None:
    workloads = (replace(A, priority=51), B, C)
    options = (*on_each(1, "a", 90), *on_each(1, "b", 50), *on_each(1, "c", 50))
    assert answer(lab(workloads, options, usable_mib=(100,))) == {"a": ("c0",)}


def test_a_lower_rank_is_taken_only_where_more_fit_with_it() -> None:
    options = (*on_each(1, "a", 60), *on_each(1, "b", 60), *on_each(1, "b", 40, rank=3, variant_id="small"))
    assert tier(lab((A, B), options, usable_mib=(100,)), 3) == (3,)
    assert tier(lab((A, B), options, usable_mib=(120,)), 3) == (0,)


def test_what_runs_stays_where_it_is_even_at_a_worse_rank() -> None:
    running = replace(A, incumbent=Incumbent("h", ("c1",), "small"))
    options = (*on_each(2, "a", 60, variant_id="large"), *on_each(2, "a", 30, rank=1, variant_id="small"))
    problem = lab((running,), options)
    assert answer(problem) == {"a": ("c1",)}
    assert tier(problem, 3) == (1,)
    assert tier(replace(problem, rebalance=True), 3) == (0,)
    assert tier(replace(problem, rebalance=True), 2) is None


def test_a_dominated_option_that_runs_is_not_pruned() -> None:
    running = replace(A, incumbent=Incumbent("h", ("c0",), "old"))
    options = (*on_each(1, "a", 30, variant_id="new"), *on_each(1, "a", 60, rank=2, variant_id="old"))
    assert tier(lab((running,), options), 2) == 0


def test_a_stateful_service_keeps_its_host_unless_it_has_no_option_there() -> None:
    hosts = (Host("h"), Host("other"))
    cards = (Card("c0", "h", 50), Card("d0", "other", 50))
    nas = replace(A, stateful=True, incumbent=Incumbent("h", ("c0",), ""))
    here, there = Option("a", "h", {"c0": 40}), Option("a", "other", {"d0": 40})
    first = replace(B, priority=100)
    options = (here, there, Option("b", "h", {"c0": 40}))
    assert answer(Problem(hosts, cards, (nas, first), options)) == {"b": ("c0",)}
    assert answer(Problem(hosts, cards, (nas, first), options[1:])) == {"a": ("d0",), "b": ("c0",)}
    assert answer(Problem(hosts, cards, (replace(nas, stateful=False), first), options)).keys() == {"a", "b"}


def test_speed_counts_by_load() -> None:
    workloads = (replace(A, load=3), B)
    fast_and_slow = [
        Option(name, "h", {card: 80}, decitokens_per_second=speed)
        for name in ("a", "b")
        for card, speed in (("c0", 100), ("c1", 50))
    ]
    problem = lab(workloads, tuple(fast_and_slow))
    assert answer(problem) == {"a": ("c0",), "b": ("c1",)}
    assert tier(problem, 4) == 350


def test_single_cards_leave_nvlink_pairs_alone_and_each_card_counts_once() -> None:
    cards = tuple(
        Card(f"c{number}", "h", 100, nvlink=peer) for number, peer in enumerate([("c1",), ("c0",), ()])
    )
    both = (*on_each(3, "a", 40), *on_each(3, "b", 40))
    problem = replace(lab((A, B), both), cards=cards)
    assert set(answer(problem).values()) == {("c2",)}
    pinned = (*on_each(2, "a", 40), *on_each(2, "b", 40))
    assert tier(replace(problem, options=pinned), 5) == 1


def test_few_cards_are_used_and_then_the_largest_hole_is_left() -> None:
    options = tuple(option for name in ("a", "b") for option in on_each(3, name, 40))
    problem = lab((A, B), options, usable_mib=(100, 90, 80))
    assert tier(problem, 6) == 1
    assert tier(problem, 7) == 100
    assert set(answer(problem).values()) <= {("c1",), ("c2",)}


@pytest.mark.parametrize(
    ("host", "more"),
    [
        (Host("h", ram_mib=100), {"ram_mib": 60}),
        (Host("h", disk_mib=100), {"disk_mib": 60}),
        (Host("h", psu_watts=1000, watts=900), {"watts": 60}),
        (Host("h"), {"ports": (8000,)}),
        (Host("h", taken_ports=(8000,)), {"ports": (8000, 8001)}),
    ],
    ids=["ram", "disk", "psu", "port", "taken port"],
)
def test_what_the_host_has_not_cannot_be_shared(host: Host, more: dict[str, object]) -> None:
    problem = lab((A, B), (*on_each(2, "a", 10, **more), *on_each(2, "b", 10, **more)), host=host)
    assert len(answer(problem)) == (0 if host.taken_ports else 1)


def test_a_host_over_its_psu_takes_only_what_needs_no_power() -> None:
    host = Host("h", psu_watts=600, watts=601)
    options = (*on_each(1, "a", 10), Option("b", "h", {}), Option("c", "h", {}, watts=1))
    assert answer(lab((A, B, C), options, host=host)) == {"b": ()}


def test_a_job_and_what_it_displaces_take_the_larger_of_the_two() -> None:
    job = replace(C, displaces=("a", "b"))
    options = (*on_each(1, "a", 50), *on_each(1, "b", 50), *on_each(1, "c", 90))
    assert len(answer(lab((A, B, job), options, usable_mib=(100,)))) == 3
    assert len(answer(lab((A, B, job), options, usable_mib=(99,)))) == 2
    assert len(answer(lab((A, B, replace(C, displaces=("a",))), options, usable_mib=(100,)))) == 2


def test_ram_is_shared_in_time_and_disk_is_not() -> None:
    job = replace(C, displaces=("a",))
    options = (*on_each(1, "a", 50, ram_mib=60, disk_mib=60), *on_each(1, "c", 50, ram_mib=60, disk_mib=60))
    assert len(answer(lab((A, job), options, host=Host("h", ram_mib=60)))) == 2
    assert len(answer(lab((A, job), options, host=Host("h", disk_mib=119)))) == 1


def test_a_time_share_set_lives_on_one_host() -> None:
    hosts = (Host("h"), Host("other"))
    cards = (Card("c0", "h", 100), Card("d0", "other", 100))
    options = (Option("a", "h", {"c0": 10}), Option("c", "other", {"d0": 10}))
    assert len(answer(Problem(hosts, cards, (A, C), options))) == 2
    assert len(answer(Problem(hosts, cards, (A, replace(C, displaces=("a",))), options))) == 1


@pytest.mark.parametrize(("window", "placed"), [((120, 180), 3), ((119, 180), 2), (None, 2)])
def test_jobs_whose_windows_overlap_share_no_card(window: tuple[int, int] | None, placed: int) -> None:
    one, other = replace(B, window=(60, 120), displaces=("a",)), replace(C, window=window, displaces=("a",))
    options = (*on_each(1, "a", 60), *on_each(1, "b", 90), *on_each(1, "c", 90))
    assert len(answer(lab((A, one, other), options, usable_mib=(100,)))) == placed


def test_jobs_of_one_set_that_may_run_together_both_take_ram() -> None:
    one, other = replace(B, displaces=("a",)), replace(C, displaces=("a",))
    options = (
        Option("a", "h", {"c0": 1}),
        Option("b", "h", {"c0": 1}, ram_mib=60),
        Option("c", "h", {"c1": 1}, ram_mib=60),
    )
    assert len(answer(lab((A, one, other), options, host=Host("h", ram_mib=119)))) == 2
    apart = replace(one, window=(0, 60)), replace(other, window=(60, 120))
    assert len(answer(lab((A, *apart), options, host=Host("h", ram_mib=60)))) == 3


@pytest.mark.parametrize("kind", ["exclusive", "elastic"])
def test_a_card_of_its_own_is_shared_only_in_time(kind: str) -> None:
    own = replace(A, exclusive=kind == "exclusive", elastic=kind == "elastic")
    options = (*on_each(1, "a", 10), *on_each(1, "b", 10))
    assert len(answer(lab((own, B), options))) == 1
    assert len(answer(lab((own, replace(B, displaces=("a",))), options))) == 2
    assert len(answer(lab((replace(own, displaces=("b",)), B), options))) == 2


def test_only_an_exclusive_card_minds_foreign_processes() -> None:
    card = (Card("c0", "h", 100, foreign_process=True),)
    for workload, placed in ((replace(A, exclusive=True), 0), (replace(A, elastic=True), 1), (A, 1)):
        assert len(answer(replace(lab((workload,), on_each(1, "a", 10)), cards=card))) == placed


def test_those_that_stay_apart_share_no_card() -> None:
    options = (*on_each(2, "a", 10), *on_each(2, "b", 10))
    assert tier(lab((A, B), options), 6) == 1
    assert tier(lab((replace(A, apart_from=("b",)), B), options), 6) == 2


def test_unified_memory_is_one_pool_with_ram() -> None:
    problem = replace(
        lab(
            (A, B),
            (*on_each(1, "a", 40, ram_mib=20), Option("b", "h", {}, ram_mib=41)),
            host=Host("h", ram_mib=100),
        ),
        cards=(Card("c0", "h", 90, unified=True),),
    )
    assert len(answer(problem)) == 1
    enough = replace(problem, hosts=(Host("h", ram_mib=110),))
    assert len(answer(enough)) == 2
    assert tier(enough, 7) == 9


def test_a_spent_budget_gives_the_best_found_and_its_bound() -> None:
    options = tuple(
        option
        for number, claim in enumerate((37, 35, 34, 33, 31, 30, 29, 28, 27, 26, 19, 17))
        for option in on_each(3, f"w{number:02}", claim)
    )
    workloads = tuple(Workload(f"w{number:02}") for number in range(12))
    problem = lab(workloads, options, usable_mib=(101, 102, 103))
    cut = solve(problem, Budget(steps=1, deterministic_time=0))
    assert violations(problem, cut.choice) == []
    assert not cut.optimal
    best = solve(problem, LIBRARY_ONLY)
    assert best.optimal
    first, bound, value = cut.tiers[0].value, cut.tiers[0].bound, best.tiers[0].value
    assert isinstance(first, tuple)
    assert isinstance(bound, tuple)
    assert isinstance(value, tuple)
    assert first <= value <= bound


def test_a_problem_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(BadInput, match="this name does not exist here"):
        solve(lab((A,), (Option("b", "h", {}),)))


def test_cards_that_are_named_otherwise_give_the_same_answer() -> None:
    problem = lab((A,), on_each(2, "a", 10), usable_mib=(100, 50))
    assert cards_of(problem, solve(problem)) == {"a": ("c1",)}
