"""Why a workload was not placed: one case for each reason that follows from the problem."""

from dataclasses import replace

import pytest

from labctl.place.problem import Card, Host, Incumbent, Option, Problem, Workload
from labctl.place.solver import solve
from labctl.place.solver_explain import Refusal, explain
from tests.labctl.place.answers import lab, on_each

A, B = Workload("a", priority=10), Workload("b", priority=20)


def refusals(problem: Problem, workload: str = "a") -> dict[str | None, tuple[int | None, int | None, str]]:
    """Per card what it needs, what is free, and why not."""
    refused = {each.workload: each.refusals for each in explain(problem, solve(problem))}
    return {each.card: (each.needs_mib, each.free_mib, each.reason) for each in refused[workload]}


def reason(problem: Problem) -> str:
    """On c0."""
    return refusals(problem)["c0"][2]


def test_what_is_placed_is_not_explained() -> None:
    problem = lab((A,), on_each(1, "a", 10))
    assert explain(problem, solve(problem)) == ()


def test_every_card_is_listed_with_the_least_demanding_variant() -> None:
    options = (*on_each(2, "a", 120), *on_each(2, "a", 95, rank=1), *on_each(1, "b", 60))
    problem = lab((A, B), options, usable_mib=(100, 90))
    assert refusals(problem) == {
        "c0": (95, 40, "fits_alone_but_outranked"),
        "c1": (95, 90, "too_small"),
    }


def test_full_of_what_is_no_more_important() -> None:
    workloads = (replace(A, priority=20), B, Workload("c", priority=20))
    options = (*on_each(1, "a", 95), *on_each(1, "b", 50), *on_each(1, "c", 50))
    assert refusals(lab(workloads, options, usable_mib=(100,)))["c0"] == (95, 0, "full")


def test_the_reasons_of_the_option_generator_come_first() -> None:
    barred = replace(A, barred={"c0": "dtype", "c1": "mig"})
    assert refusals(lab((barred,), ())) == {"c0": (None, 100, "dtype"), "c1": (None, 100, "mig")}


def test_no_option_on_a_card_is_said_by_size_or_by_pin() -> None:
    problem = lab((A, B), (*on_each(1, "a", 95), *on_each(1, "b", 10)), usable_mib=(100, 90, 100))
    assert {card: each[2] for card, each in refusals(problem).items()} == {
        "c0": "fits_alone_but_outranked",
        "c1": "too_small",
        "c2": "pinned_elsewhere",
    }


def test_too_few_cards_on_a_host() -> None:
    pair = Option("a", "h", {"c0": 60, "c1": 60})
    assert refusals(lab((A,), (pair,), usable_mib=(100, 50))) == {
        "c0": (60, 100, "too_few_on_host"),
        "c1": (60, 50, "too_small"),
    }


@pytest.mark.parametrize(
    ("host", "more", "wanted"),
    [
        (Host("h", ram_mib=50), {"ram_mib": 60}, "ram"),
        (Host("h", disk_mib=50), {"disk_mib": 60}, "disk"),
        (Host("h", taken_ports=(80,)), {"ports": (80,)}, "port"),
        (Host("h", psu_watts=50, watts=60), {}, "psu"),
    ],
)
def test_what_the_host_lacks_from_the_start(host: Host, more: dict[str, object], wanted: str) -> None:
    assert reason(lab((A,), on_each(1, "a", 10, **more), host=host)) == wanted


@pytest.mark.parametrize(
    ("host", "more", "wanted"),
    [
        (Host("h", ram_mib=100), {"ram_mib": 60}, "ram"),
        (Host("h", disk_mib=100), {"disk_mib": 60}, "disk"),
        (Host("h"), {"ports": (80,)}, "port"),
        (Host("h", psu_watts=100), {"watts": 60}, "psu"),
    ],
)
def test_what_another_took_of_the_host(host: Host, more: dict[str, object], wanted: str) -> None:
    options = (*on_each(1, "a", 10, **more), *on_each(1, "b", 10, **more))
    assert reason(lab((A, B), options, host=host)) == wanted


def test_a_card_that_is_not_shared() -> None:
    options = (*on_each(1, "a", 10), *on_each(1, "b", 10))
    assert reason(lab((A, replace(B, exclusive=True)), options)) == "exclusive"
    assert reason(lab((A, replace(B, elastic=True)), options)) == "exclusive"
    assert reason(lab((replace(A, apart_from=("b",)), B), options)) == "exclusive"
    foreign = replace(
        lab((replace(A, exclusive=True),), on_each(1, "a", 10)),
        cards=(Card("c0", "h", 100, foreign_process=True),),
    )
    assert reason(foreign) == "exclusive"


def test_data_and_partners_pin_it_elsewhere() -> None:
    hosts, cards = (Host("h"), Host("i")), (Card("c0", "h", 100), Card("d0", "i", 5))
    stays = replace(A, stateful=True, incumbent=Incumbent("i", ("d0",), ""))
    options = (Option("a", "h", {"c0": 10}), Option("a", "i", {"d0": 10}))
    assert {card: each[2] for card, each in refusals(Problem(hosts, cards, (stays,), options)).items()} == {
        "c0": "pinned_elsewhere",
        "d0": "too_small",
    }
    job = replace(A, displaces=("b",))
    apart = (Option("a", "h", {"c0": 10}), Option("b", "i", {"d0": 5}))
    assert reason(Problem(hosts, cards, (job, B), apart)) == "pinned_elsewhere"


def test_without_cards_the_hosts_are_listed() -> None:
    problem = lab((A,), (Option("a", "h", {}, ram_mib=60),), host=Host("h", ram_mib=50))
    (refused,) = explain(problem, solve(problem))
    assert refused.refusals == (Refusal(None, "h", None, None, "ram"),)
