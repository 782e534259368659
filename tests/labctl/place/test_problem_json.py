"""problem.json: what is written comes back, and what cannot be meant is refused with its place."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from labctl.errors import BadInput
from labctl.place.problem import Card, Host, Incumbent, Option, Problem, Workload, decitokens, overlap
from labctl.place.problem_check import check
from labctl.place.problem_json import dump, load
from labctl.place.solver import solve
from tests.labctl.place.instances import MEDIUM, SMALL, instance, shuffled

PROBLEM = Problem(
    hosts=(Host("aibox", ram_mib=65536, disk_mib=None, psu_watts=1000, watts=800, taken_ports=(22,)),),
    cards=(Card("a", "aibox", 23000, nvlink=("b",)), Card("b", "aibox", 23000, nvlink=("a",))),
    workloads=(
        Workload("chat", priority=100, load=3, incumbent=Incumbent("aibox", ("a",), "q4")),
        Workload("tune", displaces=("chat",), window=(60, 420), barred={"b": "dtype"}),
    ),
    options=(
        Option("chat", "aibox", {"a": 9000}, ports=(8000,), decitokens_per_second=700, variant_id="q4"),
        Option("tune", "aibox", {"a": 20000}, ram_mib=4096, variant={"sequence": 2048}),
    ),
)
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> str:
    document = json.loads(dump(PROBLEM))
    edit(document)
    return json.dumps(document)


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadInput) as caught:
        load(text, "problem.json")
    return str(caught.value)


def test_what_is_written_comes_back() -> None:
    assert load(dump(PROBLEM)) == PROBLEM
    assert load(dump(PROBLEM).encode()) == PROBLEM


@pytest.mark.parametrize("seed", range(20))
def test_the_same_problem_gives_the_same_bytes_in_any_order(seed: int) -> None:
    problem = instance(seed, SMALL if seed % 2 else MEDIUM)
    text = dump(problem)
    assert dump(shuffled(problem, seed)) == text
    assert dump(load(text)) == text


def test_all_numbers_are_whole_and_all_keys_are_there() -> None:
    document = json.loads(dump(PROBLEM), parse_float=pytest.fail)
    assert document["schema_version"] == 1
    for key, kind in (("hosts", Host), ("cards", Card), ("workloads", Workload), ("options", Option)):
        assert all(set(each) == set(kind.__dataclass_fields__) for each in document[key])


def test_what_may_be_left_out_may_be_left_out() -> None:
    text = '{"schema_version": 1, "hosts": [{"name": "h"}], "cards": [], "workloads": [{"name": "w"}], "options": []}'
    assert load(text) == Problem((Host("h"),), (), (Workload("w"),), ())


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda d: d.update(schema_version=2),
            "schema_version: this is of another version (found 2, expected 1)",
        ),
        (lambda d: d.pop("cards"), "cards: a key is missing"),
        (lambda d: d.update(more=1), "more: this key does not exist (expected one of cards,"),
        (lambda d: d.update(hosts={}), "hosts: this value cannot be (found {}, expected a list)"),
        (lambda d: d["hosts"].append(7), "hosts[1]: this is no object (found 7"),
        (
            lambda d: d["hosts"][0].update(watts=1.5),
            "hosts[0].watts: this value cannot be (found 1.5, expected a whole",
        ),
        (lambda d: d["hosts"][0].update(watts=True), "hosts[0].watts: this value cannot be (found true"),
        (
            lambda d: d["hosts"][0].update(ram_mib=-1),
            "hosts.aibox.ram_mib: this cannot be negative (found -1",
        ),
        (
            lambda d: d["hosts"][0].update(taken_ports=[0]),
            "hosts.aibox.taken_ports: this is no port (found 0",
        ),
        (
            lambda d: d["cards"][0].update(host="aibux"),
            "cards.a.host: this name does not exist here (found aibux",
        ),
        (lambda d: d["cards"][0].update(nvlink=[]), "cards.b.nvlink: a link has two ends"),
        (lambda d: d["cards"][1].update(id="a", nvlink=[]), "cards: the same name twice (found a"),
        (lambda d: d["workloads"][1].update(displaces=["chut"]), "did you mean chat?"),
        (
            lambda d: d["workloads"][0].update(window=[0, 5]),
            "tune.displaces: a job does not displace another job",
        ),
        (
            lambda d: d["workloads"][1].update(window=[60]),
            "workloads[1].window: this value cannot be (found [60]",
        ),
        (lambda d: d["workloads"][1].update(window=[0, 1440]), "workloads.tune.window: these are no minutes"),
        (
            lambda d: d["workloads"][1].update(barred={"a": "no"}),
            "workloads[1].barred.a: this value cannot be",
        ),
        (
            lambda d: d["workloads"][0]["incumbent"].update(x=1),
            "workloads[0].incumbent.x: this key does not exist",
        ),
        (
            lambda d: d["options"][0].update(claims_mib={"c": 1}),
            "options[0].claims_mib: this name does not exist",
        ),
        (
            lambda d: d["options"][0].update(claims_mib={"a": "1"}),
            'options[0].claims_mib.a: this value cannot be (found "1"',
        ),
        (
            lambda d: d["options"][0].update(claims_mib={"a": -1}),
            "options[0].claims_mib.a: this cannot be negative",
        ),
        (lambda d: d["options"][1].update(ports=[1, 1]), "options[1].ports: the same port twice"),
        (
            lambda d: d["options"][1].update(workload="tun"),
            "options[1].workload: this name does not exist here",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(edit: Edit, says: str) -> None:
    message = refusal(edited(edit))
    assert message.startswith("problem.json: ")
    assert says in message


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema_version": NaN}', "7", b"\xff", "[" * 100_000])
def test_what_is_no_problem_at_all_is_refused(text: str | bytes) -> None:
    assert refusal(text).startswith("problem.json: ")


def test_a_key_that_stands_twice_is_refused() -> None:
    assert "the same key twice (found rebalance" in refusal('{"rebalance": true, "rebalance": false}')


def test_unified_memory_needs_an_amount_of_ram() -> None:
    problem = replace(
        PROBLEM, hosts=(Host("aibox"),), cards=tuple(replace(card, unified=True) for card in PROBLEM.cards)
    )
    with pytest.raises(BadInput, match="unified memory is RAM"):
        check(problem)


def test_more_than_can_be_solved_is_refused() -> None:
    many = tuple(Workload(f"w{number}") for number in range(501))
    with pytest.raises(BadInput, match="more workloads than can be placed"):
        check(Problem((), (), many, ()))
    jobs = tuple(Workload(f"job{number}", displaces=("chat",)) for number in range(11))
    with pytest.raises(BadInput, match="too many jobs displace the same workloads"):
        check(Problem((), (), (Workload("chat"), *jobs), ()))
    check(Problem((), (), many[:500], ()))


def test_as_many_workloads_as_are_taken_are_solved() -> None:
    workloads = tuple(Workload(f"w{number}") for number in range(500))
    options = tuple(Option(each.name, "h", {}) for each in workloads)
    assert solve(Problem((Host("h"),), (), workloads, options)).optimal


def test_tokens_are_counted_in_tenths() -> None:
    assert [decitokens(each) for each in (None, 0.0, 7.09, 112.0)] == [None, 0, 70, 1120]


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ((60, 120), (120, 180), False),
        ((60, 121), (120, 180), True),
        ((1380, 60), (0, 30), True),
        ((1380, 60), (60, 90), False),
        (None, (60, 90), True),
        ((60, 60), (700, 710), True),
    ],
)
def test_windows_overlap(one: tuple[int, int] | None, other: tuple[int, int] | None, do: bool) -> None:
    assert overlap(Workload("a", window=one), Workload("b", window=other)) is do
    assert overlap(Workload("b", window=other), Workload("a", window=one)) is do
