"""A plan against a machine: hardware, and what our units hold on which card."""

from dataclasses import replace

import pytest

from labctl.plan.hardware_diff import HardwareChange
from labctl.plan.live import LiveDiff, Seen, UnitFinding, against_live
from labctl.plan.plan import Plan
from labctl.rig.live import LiveHost
from tests.labctl.plan.machines import CHAT, IMAGES, both, machine
from tests.labctl.plan.plans import FIRST, SECOND, claims, host, plan, runs


def compared(found: LiveHost, planned: Plan, *, everything: bool = True) -> LiveDiff:
    ram = replace(
        planned,
        rig=replace(planned.rig, hosts=tuple(replace(each, ram_gib=126) for each in planned.rig.hosts)),
    )
    return against_live(ram, Seen((found,), everything=everything, running=True))


AS_PLANNED: dict[int, dict[str, int | None]] = {0: {CHAT: 8700}, 1: {IMAGES: 7000}}


def test_as_planned() -> None:
    found = compared(machine(AS_PLANNED), both())
    assert (found.same, found.unseen, found.units) == (True, ("ui",), ())


def test_a_driver_that_tells_no_amount_and_others_processes_do_not_matter() -> None:
    assert compared(machine({0: {CHAT: None, "ollama.service": 9000}, 1: {IMAGES: 1}}), both()).same


@pytest.mark.parametrize(
    ("processes", "kinds"),
    [
        ({0: {CHAT: 9001}, 1: {IMAGES: 10}}, [("above_claim", CHAT, FIRST)]),
        (
            {1: {CHAT: 9000, IMAGES: 10}},
            [("wrong_card", CHAT, SECOND), ("silent", CHAT, FIRST)],
        ),
        ({0: {CHAT: 9000}}, [("silent", IMAGES, SECOND)]),
        (
            {0: {CHAT: 9000, "labctl-old.service": 5}, 1: {IMAGES: 10}},
            [("unplanned", "labctl-old.service", FIRST)],
        ),
    ],
)
def test_units_that_are_not_as_planned(
    processes: dict[int, dict[str, int | None]], kinds: list[tuple[str, str, str]]
) -> None:
    found = compared(machine(processes), both())
    assert [(each.kind, each.unit, each.card) for each in found.units] == kinds
    assert not found.same


def test_a_finding_says_how_much() -> None:
    (found,) = compared(machine({0: {CHAT: 9500}, 1: {IMAGES: 1}}), both()).units
    assert found == UnitFinding("above_claim", CHAT, "aibox", FIRST, 9500, 9000, (FIRST,))


def test_jobs_what_they_displace_and_what_loads_on_demand_may_hold_nothing() -> None:
    tune = runs("axolotl", cards=claims(first=12000), displaces=("chat",), when="01:00-07:00")
    ollama = runs("ollama", cards=claims(second=22000), elastic=True)
    planned = plan({"chat": runs(cards=claims(first=9000)), "tune": tune, "ollama": ollama})
    assert compared(machine({0: {CHAT: 9000}}), planned).same
    assert compared(machine({0: {"labctl-tune.service": 11000}}), planned).same
    assert compared(machine({0: {CHAT: 1}, 1: {"labctl-ollama.service": 23000}}), planned).same
    assert [each.unit for each in compared(machine({}), planned).units] == [CHAT]


def test_hardware_that_is_not_the_plans() -> None:
    assert compared(machine({0: {CHAT: 1}}, FIRST), both()).hardware == (
        HardwareChange("card_gone", "aibox", SECOND, "rtx-3090", None),
    )
    smaller = compared(machine(AS_PLANNED, memory_mib=24000), both())
    assert [each.kind for each in smaller.hardware] == ["memory", "memory"]


def test_a_dead_card_is_not_also_called_silent() -> None:
    assert compared(machine({0: {CHAT: 1}}, FIRST), both()).units == ()


def test_a_plan_without_uuids_goes_by_place() -> None:
    named = host("aibox/0", "aibox/1")
    chat = runs(cards=(replace(claims(first=9000)[0], card="aibox/0"),))
    planned = plan({"chat": chat}, named, bound=False)
    assert compared(machine({0: {CHAT: 9000}}), planned).same
    assert [each.card for each in compared(machine({1: {CHAT: 9000}}), planned).units] == [
        "aibox/1",
        "aibox/0",
    ]


def test_hosts_that_were_not_looked_at_are_not_missed_unless_all_were() -> None:
    planned = plan(
        {"chat": runs(cards=claims(first=9000)), "far": runs(host="far")},
        host(FIRST, SECOND),
        host(name="far"),
    )
    there = machine({0: {CHAT: 9000}})
    part = compared(there, planned, everything=False)
    assert (part.same, part.not_looked_at, part.unseen) == (True, ("far",), ("far",))
    whole = compared(there, planned)
    assert [each.kind for each in whole.hardware] == ["host_gone"]
    stranger = compared(machine({}, name="else"), planned, everything=False)
    assert [each.kind for each in stranger.hardware] == ["host_gone", "host_new", "host_gone"]


def test_a_rig_file_says_nothing_of_what_runs() -> None:
    found = against_live(both(), Seen((machine({}),), everything=True, running=False))
    assert found.units == ()
    assert found.unseen == ("chat", "images", "ui")
