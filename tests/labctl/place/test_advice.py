"""Advice against every card of the catalogue tried by hand, and what it says where nothing helps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil, inf
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.edges.rigs import read_rig
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.place import advice as searched
from labctl.place.advice import Advice, advise
from labctl.place.placement import Placement, Question, place
from labctl.place.prices import Market, price_in
from labctl.place.what_if import without
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Rig
from labctl.rig.rig_file import parse

CASES = Path("tests/cases/advise")
DOLLARS = Market()
BUDGET = "workloads/rigs/budget-3060.yaml"
# The $350 rig with other cards, as its owner would write it down.
WRITTEN = """\
name: tried
hosts:
  - name: precision
    gpus: [{cards}]
    ram_gib: 32
    cpu: {{model: Core i7-6700, cores: 4, memory_bandwidth_gbs: 34.1, tdp_watts: 65}}
    disk_gib: 1000
"""


def question(workloads: str, rig: str | Rig) -> Question:
    path = str(CASES / workloads)
    return Question(wishes(read_workloads(path), path), read_rig(rig) if isinstance(rig, str) else rig)


def asked(workloads: str, rig: str | Rig = BUDGET, market: Market = DOLLARS) -> Advice:
    return advise(question(workloads, rig), catalog.gpus(), market)


def boards() -> Iterator[Gpu]:
    """What goes into a slot, told by names and not by what the catalogue says of form factors."""
    others = {"sxm", "sxm2", "sxm4", "sxm5", "jetson", "dgx", "b200", "k80", "m10", "m60", "a16"}
    return (gpu for gpu in catalog.gpus() if not others & set(gpu.name.split("-")))


def lowest(gpu: Gpu) -> int:
    """The least that a card may sensibly be held to: 200 of 350 W, and what its board allows."""
    assert gpu.tdp_watts is not None
    if gpu.power_min_watts is None:
        return gpu.tdp_watts
    return min(gpu.tdp_watts, max(gpu.power_min_watts, ceil(gpu.tdp_watts * 200 / 350)))


@dataclass(frozen=True)
class Tried:
    """A purchase with which everything fits. least_watts: of the host, with every card held to the least."""

    gpu: Gpu
    count: int
    watts: int
    least_watts: int

    @property
    def cost(self) -> float:
        price = price_in(self.gpu, "USD")
        return inf if price is None else self.count * price.amount


def tried_by_hand(workloads: str, gpus: Iterable[Gpu], slots: int) -> list[Tried]:
    """Every card in every number, with the old one and without, that makes all of it fit; the power supply aside."""
    wanted = question(workloads, BUDGET).wishes
    found = []
    for gpu in gpus:
        for count in range(1, slots + 1):
            for kept in ((), ("rtx-3060",)):
                names = [*kept, *[gpu.name] * count]
                # The weights of either case are longer: 40 GB, and 19 GB beside 9000 MiB.
                if len(names) > slots or sum(catalog.gpu(name).memory_mib for name in names) < 26_000:
                    continue
                cards = ", ".join(f"{{model: {name}}}" for name in names)
                rig = parse(WRITTEN.format(cards=cards), "tried", catalog.gpu)
                if not place(Question(wanted, rig)).refused:
                    known = [catalog.gpu(name) for name in names]
                    # 65 W of processor and 75 W of the rest.
                    watts = 140 + sum(each.tdp_watts or 0 for each in known)
                    found.append(Tried(gpu, count, watts, 140 + sum(map(lowest, known))))
    return found


def test_the_350_dollar_rig_with_a_70b_wish() -> None:
    by_hand = tried_by_hand("seventy.yaml", boards(), slots=2)
    carried = [each for each in by_hand if each.least_watts <= 365]
    told = asked("seventy.yaml")
    # Nothing of known price runs from 365 W; of the rest what has least memory and draws least comes first.
    assert carried
    assert min(each.cost for each in carried) == inf
    first = told.now[0]
    assert first.price is None
    assert (first.addition.gpu, first.addition.count) in {
        (each.gpu, each.count)
        for each in carried
        if each.count * each.gpu.memory_mib == min(other.count * other.gpu.memory_mib for other in carried)
    }
    assert first.addition.watts <= 365
    cheapest = min(
        (each for each in by_hand if each not in carried), key=lambda each: (each.cost, each.watts)
    )
    best = told.with_psu[0]
    assert (best.addition.gpu, best.addition.count, best.cost) == (
        cheapest.gpu,
        cheapest.count,
        cheapest.cost,
    )
    assert best.addition.psu_watts_needed == cheapest.watts == 840
    assert best.addition.power.peak_watts == 840 + 600 - 350
    assert [each.cost for each in told.with_psu] == sorted(each.cost or 0 for each in told.with_psu)


@pytest.mark.parametrize("workloads", ["seventy.yaml", "vllm-32b.yaml"])
@pytest.mark.parametrize(("slots", "psu_watts"), [(2, 800), (3, 1000), (1, 750)])
def test_the_cheapest_is_that_of_all_tried_by_hand(workloads: str, slots: int, psu_watts: int) -> None:
    priced = [gpu for gpu in boards() if price_in(gpu, "USD")]
    by_hand = tried_by_hand(workloads, priced, slots)
    carried = [each.cost for each in by_hand if each.least_watts <= psu_watts]
    told = advise(question(workloads, wider(slots, psu_watts)), priced, Market())
    assert [each.cost for each in told.now[:1]] == ([min(carried)] if carried else [])
    larger = [each.cost for each in by_hand if each.least_watts > psu_watts]
    cheaper = [cost for cost in larger if not carried or cost < min(carried)]
    if told.with_psu or cheaper:
        assert told.with_psu[0].cost == min(cheaper)


def wider(slots: int, psu_watts: int) -> Rig:
    rig = read_rig(BUDGET)
    host = replace(rig.hosts[0], pcie_slots=(16, 8, 8)[:slots], psu_watts=psu_watts)
    return replace(rig, hosts=(host,))


def test_every_answer_is_a_placement_of_all_within_the_limits() -> None:
    told = asked("vllm-32b.yaml", wider(3, 700))
    assert told.now
    for each in told.now:
        addition, host = each.addition, each.addition.rig.hosts[0]
        assert not each.placement.refused
        assert len(host.cards) <= 3
        assert addition.power.gpu_watts + addition.power.system_watts <= 700
        assert addition.power.ok
        assert {card.id for card in each.placement.question.rig.cards} == {card.id for card in host.cards}
        assert all(host.cards[0].id != card.id for card in addition.replaced)


def test_cards_without_a_price_come_last_and_the_smallest_of_them_first() -> None:
    told = asked("vllm-32b.yaml", wider(3, 700)).now
    priced = [each.price is not None for each in told]
    assert priced == sorted(priced, reverse=True)
    memory_mib = [each.addition.count * each.addition.gpu.memory_mib for each in told if each.price is None]
    assert memory_mib == sorted(memory_mib)
    assert memory_mib[0] < memory_mib[-1]


def test_a_large_card_that_is_too_old_says_nothing_of_a_small_new_one() -> None:
    empty = without(wider(1, 600), ["precision/0"])
    # P100 and P40 are cheaper and larger, and vLLM runs on neither.
    assert asked("vllm-7b.yaml", empty).now[0].addition.gpu.name == "rtx-3060"


def test_what_fits_already_needs_nothing() -> None:
    told = asked("seventy.yaml", "workloads/rigs/quad-3090-epyc.yaml")
    assert not told.before.refused
    assert (told.now, told.with_psu, told.found) == ((), (), False)


def test_nothing_holds_a_405b_in_sixteen_bits_in_two_slots() -> None:
    told = asked("405b.yaml")
    assert not told.found
    assert told.over_budget is None
    assert told.largest is not None
    assert (told.largest.gpu.name, told.largest.count) == ("h200-nvl", 2)
    # 405.9 billion parameters of two bytes.
    assert told.asked_mib["chat"] == pytest.approx(405.9e9 * 2 / 2**20, rel=0.01)
    assert told.complete


def test_a_machine_of_one_piece_takes_no_card() -> None:
    told = asked("405b.yaml", "workloads/rigs/dgx-spark.yaml")
    assert (told.found, told.largest) == (False, None)


def test_ram_that_no_card_brings_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = read_rig(BUDGET)
    poor = replace(rig, hosts=(replace(rig.hosts[0], ram_mib=1024),))
    tries = counted(monkeypatch)
    told = asked("vllm-32b.yaml", poor)
    assert [each.what for each in told.short] == ["ram"]
    assert told.short[0].needs_mib > told.short[0].has_mib == 1024
    assert len(tries) == 1
    plenty = replace(rig, hosts=(replace(rig.hosts[0], ram_mib=told.short[0].needs_mib + 4096),))
    assert asked("vllm-32b.yaml", plenty).short == ()


def test_money() -> None:
    poor = asked("seventy.yaml", market=Market(budget=1000))
    assert all(each.price is None for each in (*poor.now, *poor.with_psu))
    assert poor.over_budget is not None
    assert poor.over_budget.cost == 1800
    enough = asked("seventy.yaml", market=Market(budget=1800))
    assert [each.cost for each in enough.with_psu] == [1800]
    assert enough.over_budget is None
    # What the person sees today goes before what the catalogue says.
    told = asked("seventy.yaml", market=Market(given={"rtx-a6000": 1799.0}))
    assert told.with_psu[0].addition.gpu.name == "rtx-a6000"
    # In pounds two RTX 3090 are 2500; the A6000 has no price there.
    pounds = asked("seventy.yaml", market=Market("GBP"))
    assert [each.cost for each in pounds.with_psu if each.price][:1] == [2500]


def test_few_of_hundreds_are_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = counted(monkeypatch)
    asked("seventy.yaml")
    assert len(tries) <= 40
    tries.clear()
    asked("405b.yaml")
    assert len(tries) == 1


def test_a_search_that_ends_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "MOST_TRIED", 1)
    assert not asked("seventy.yaml").complete


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Every question that is placed from here on."""
    tries: list[Question] = []

    def counting(question: Question) -> Placement:
        tries.append(question)
        return place(question)

    monkeypatch.setattr(searched, "place", counting)
    return tries
