"""How two plans differ: workloads, claims per card, hardware."""

from dataclasses import replace

from labctl.plan.diff import CardChange, Setting, WorkloadChange, claimed_mib, difference
from labctl.plan.hardware_diff import HardwareChange, hardware_changes
from labctl.plan.plan import PlannedPort, Unplaced
from tests.labctl.plan.plans import FIRST, SECOND, THIRD, claims, host, plan, runs


def test_a_plan_does_not_differ_from_itself_whatever_its_solver_said() -> None:
    one = plan({"chat": runs(cards=claims(first=9000))})
    other = replace(one, solver=replace(one.solver, optimal=False), rig=replace(one.rig, name="else"))
    assert difference(one, other).same


def test_what_becomes_of_workloads() -> None:
    before = plan(
        {
            "gone": runs(cards=claims(first=10)),
            "moves": runs(cards=claims(first=20)),
            "shrinks": runs(variant={"context": 32768, "quant": "Q8_0"}),
            "squeezed": runs(cards=claims(second=5)),
            "stays": runs(),
        },
        unplaced={"returns": Unplaced("container"), "forgotten": Unplaced("container")},
    )
    after = plan(
        {
            "moves": runs(cards=claims(second=20)),
            "new": runs(cards=claims(first=30)),
            "returns": runs(),
            "shrinks": runs(variant={"context": 8192, "quant": "Q8_0"}, env={"A": "b"}),
            "stays": runs(),
        },
        unplaced={"squeezed": Unplaced("llama.cpp"), "late": Unplaced("container")},
    )
    found = difference(before, after)
    assert [(each.workload, each.kind) for each in found.workloads] == [
        ("forgotten", "removed"), ("gone", "removed"), ("late", "unplaced"), ("moves", "moved"), ("new", "added"),
        ("returns", "added"), ("shrinks", "changed"), ("squeezed", "unplaced"),
    ]  # fmt: skip
    assert found.workloads[3] == WorkloadChange("moves", "moved", "aibox", "aibox", (FIRST,), (SECOND,))
    assert found.workloads[6].settings == (Setting("context", 32768, 8192), Setting("env.A", None, "b"))
    assert found.cards == (CardChange(SECOND, "aibox", 5, 20),)
    assert not found.hardware


def test_every_setting_counts_and_a_claim_only_on_the_same_cards() -> None:
    one = runs(cards=claims(first=100), ports=(PlannedPort(80, 20000),), args=("a",))
    for other, key in (
        (replace(one, ports=(PlannedPort(80, 20001),)), "ports.80/tcp"),
        (replace(one, args=("b",)), "args"),
        (replace(one, image="x:2"), "image"),
        (replace(one, secrets=("env.KEY",)), "secrets"),
        (replace(one, data="/srv"), "data"),
        (replace(one, uses=("x",)), "uses"),
        (replace(one, expose="lan"), "expose"),
        (replace(one, volumes={"v": "/v"}), "volumes.v"),
        (replace(one, when="01:00-02:00"), "when"),
        (replace(one, elastic=True), "elastic"),
        (replace(one, cards=claims(first=101)), f"claim.{FIRST}"),
    ):
        (change,) = difference(plan({"w": one}), plan({"w": other})).workloads
        assert (change.kind, [each.key for each in change.settings]) == ("changed", [key])
    (moved,) = difference(plan({"w": one}), plan({"w": replace(one, cards=claims(second=101))})).workloads
    assert moved.settings == ()


def test_claims_share_time_as_placement_counts_them() -> None:
    shared = plan(
        {
            "chat": runs(cards=claims(first=9000)),
            "tune": runs(cards=claims(first=11000), displaces=("chat",), when="01:00-07:00"),
            "listen": runs(cards=claims(first=500)),
        }
    )
    assert claimed_mib(shared) == {FIRST: 11500, SECOND: 0}


def test_hardware() -> None:
    before = (host(FIRST, SECOND), host(name="gone"))
    after = (
        host(SECOND, FIRST, THIRD, memory_mib=24000, ram_gib=64),
        host(name="new"),
    )
    assert hardware_changes(before, before) == ()
    assert hardware_changes(before, after) == (
        HardwareChange("memory", "aibox", FIRST, 24123, 24000),
        HardwareChange("memory", "aibox", SECOND, 24123, 24000),
        HardwareChange("card_new", "aibox", THIRD, None, "rtx-3090"),
        HardwareChange("order", "aibox", None, [FIRST, SECOND], [SECOND, FIRST]),
        HardwareChange("ram", "aibox", None, 128, 64),
        HardwareChange("host_gone", "gone", None, "", None),
        HardwareChange("host_new", "new", None, None, ""),
    )
    assert hardware_changes((host(FIRST),), (host(),)) == (
        HardwareChange("card_gone", "aibox", FIRST, "rtx-3090", None),
    )
