"""What goes into a host: slots, drivers, and how its power supply bears it."""

from dataclasses import replace

from labctl.edges import catalog
from labctl.edges.rigs import read_rig
from labctl.place.additions import Addition, additions, fits_a_slot, most_added, slots
from labctl.place.drivers import no_common_driver
from labctl.rig.rig import Host, Rig

BUDGET = read_rig("workloads/rigs/budget-3060.yaml")
DUAL = read_rig("workloads/rigs/dual-3090.yaml")
SEVEN = read_rig("workloads/rigs/seven-gpu-epyc.yaml")
SPARK = read_rig("workloads/rigs/dgx-spark.yaml")


def ways(rig: Rig, gpu: str, count: int = 1) -> list[Addition]:
    return list(additions(rig, rig.hosts[0], catalog.gpu(gpu), count))


def changed(rig: Rig, **values: object) -> Rig:
    return replace(rig, hosts=(replace(rig.hosts[0], **values),))  # type: ignore[arg-type]  # a test's own keys


def replaced(addition: Addition) -> list[str]:
    return [card.id for card in addition.replaced]


def test_boards_for_a_slot() -> None:
    no = {gpu.name for gpu in catalog.gpus() if not fits_a_slot(gpu)}
    assert {"a100-sxm4-80gb", "b200", "jetson-thor", "dgx-spark", "tesla-k80", "a16", "tesla-m60"} <= no
    assert {"rtx-3090", "l4", "h200-nvl", "a100-pcie-80gb", "tesla-p40", "quadro-m2000"}.isdisjoint(no)
    assert {name for name in no if "sxm" not in name} <= {
        "b200", "dgx-spark", "jetson-agx-orin-32gb", "jetson-agx-orin-64gb", "jetson-orin-nano-8gb",
        "jetson-orin-nx-16gb", "jetson-thor", "tesla-k80", "a16", "tesla-m60", "tesla-m10",
    }  # fmt: skip


def test_slots() -> None:
    assert slots(Host("h", (), pcie_slots=(1, 4, 16, 2, 8))) == (16, 8, 4)
    assert slots(Host("h", ())) is None
    assert slots(SPARK.hosts[0]) == slots(replace(SPARK.hosts[0], pcie_slots=None)) == ()
    assert [most_added(host) for host in (BUDGET.hosts[0], SEVEN.hosts[0], SPARK.hosts[0], Host("h", ()))] == [
        2, 4, 0, 4,
    ]  # fmt: skip


def test_a_free_slot_takes_a_card_and_says_how_wide_it_is() -> None:
    (way,) = ways(changed(BUDGET, psu_watts=1000), "rtx-3090")
    assert (replaced(way), way.lanes, dict(way.limits), way.psu_watts_needed) == ([], (4,), {}, None)
    assert way.watts == 140 + 170 + 350
    assert way.power.peak_watts == way.watts + 600 - 350


def test_where_slots_are_full_the_weakest_leaves() -> None:
    rig = changed(SEVEN, psu_watts=9000, pcie_slots=(16,) * 7)
    (way,) = ways(rig, "rtx-a6000", 3)
    assert sorted(replaced(way)) == ["frame/4", "frame/5", "frame/6"]
    assert way.lanes == (16, 16, 16)
    # Of equal cards the last.
    (one,) = ways(rig, "rtx-a6000", 1)
    assert replaced(one) == ["frame/5"]
    assert ways(BUDGET, "rtx-3090", 3) == []
    assert ways(SPARK, "rtx-3090") == []


def test_unknown_slots_are_not_counted() -> None:
    (way,) = ways(changed(SEVEN, psu_watts=9000, pcie_slots=None), "rtx-a6000", 4)
    assert (replaced(way), way.lanes) == ([], None)


def test_cards_that_no_driver_runs_beside_the_new_one_leave() -> None:
    rig = changed(SEVEN, psu_watts=9000, pcie_slots=None)
    (way,) = ways(rig, "rtx-5090")
    assert replaced(way) == ["frame/6"]
    (back,) = ways(way.rig, "tesla-p40")
    assert replaced(back) == ["frame/new-1"]
    assert no_common_driver(card.gpu for card in way.rig.cards) is None
    assert no_common_driver(card.gpu for card in back.rig.cards) is None


def test_a_power_supply_that_nobody_knows_bears_all() -> None:
    (way,) = ways(changed(BUDGET, psu_watts=None), "rtx-3090")
    assert way.psu_watts_needed is None


def test_limits_are_lowered_before_a_card_leaves() -> None:
    # Two at 280 W, one at 350 W and 195 W beside: 1105 W.
    held, larger = ways(changed(DUAL, psu_watts=900), "rtx-3090")
    assert held.watts <= 900
    assert replaced(held) == []
    assert set(held.limits) == {"aibox/0", "aibox/1", "aibox/new-1"}
    assert all(200 <= watts < 350 for watts in held.limits.values())
    assert held.limits["aibox/0"] < held.limits["aibox/new-1"]
    assert (larger.psu_watts_needed, dict(larger.limits)) == (1105, {})


def test_a_card_leaves_where_lower_limits_are_not_enough() -> None:
    # 195 W and three cards at their least, 200 W each, are 795 W.
    (exact, _) = ways(changed(DUAL, psu_watts=795), "rtx-3090")
    assert (replaced(exact), exact.watts) == ([], 795)
    one, larger = ways(changed(DUAL, psu_watts=794), "rtx-3090")
    assert replaced(one) == ["aibox/1"]
    assert 790 <= one.watts <= 794
    assert larger.psu_watts_needed == 1105


def test_a_card_whose_range_nobody_knows_is_not_held() -> None:
    gpu = replace(catalog.gpu("rtx-3090"), power_min_watts=None)
    rig = changed(BUDGET, psu_watts=580)
    way, larger = additions(rig, rig.hosts[0], gpu, 1)
    # The old one cannot give 80 of 170 W; it leaves.
    assert (replaced(way), dict(way.limits), way.watts) == (["precision/0"], {}, 490)
    assert larger.psu_watts_needed == 660


def test_four_cards_of_350_watts_need_more_than_1400() -> None:
    empty = changed(DUAL, cards=(), psu_watts=1000, pcie_slots=(16,) * 4, host_watts=100)
    held, larger = ways(empty, "rtx-3090", 4)
    assert (larger.psu_watts_needed, larger.power.gpu_watts) == (1500, 1400)
    assert larger.power.peak_watts == 1750
    assert (held.watts, set(held.limits.values())) == (1000, {225})
