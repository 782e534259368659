"""Every move says why."""

from dataclasses import replace

from labctl.edges import catalog
from labctl.place.options import Wish
from labctl.place.placement import Question, place
from labctl.plan.keep import incumbents
from labctl.plan.make import plan_of
from labctl.plan.moves import moves
from labctl.plan.plan import Plan
from labctl.rig.rig import Host, Rig
from labctl.workloads.workload import GpuLimits, Workload
from tests.labctl.place.simulated import Straight
from tests.labctl.plan.questions import card

BIG, SMALL = card("box", 0, "rtx-3090", 1), card("box", 1, "rtx-3060", 2)
BOX, OTHER = Host("box", (BIG, SMALL), ram_mib=65536), Host("zoo", (card("zoo", 0, "rtx-3060", 9),))


def wish(name: str, vram_mib: int = 9000, *, on: str | None = None, priority: int = 50) -> Wish:
    service = catalog.service("container")
    assert service
    limits = GpuLimits(uuids=(on,)) if on else GpuLimits()
    return Wish(
        Workload(name, "container", 1, vram_mib=vram_mib, gpus=limits, priority=priority), service, None
    )


def planned(*wishes: Wish, hosts: tuple[Host, ...] = (BOX,), kept: Plan | None = None) -> Plan:
    running = incumbents(kept) if kept else {}
    return plan_of(place(Question(wishes, Rig("home", hosts), running)), kept)


def reasons(
    kept: Plan,
    *wishes: Wish,
    hosts: tuple[Host, ...] = (BOX,),
    replaced: dict[str, str] | None = None,
    rebalance: bool = False,
) -> dict[str, tuple[str, str | None]]:
    """Kind and reason by workload."""
    question = Question(wishes, Rig("home", hosts), incumbents(kept, replaced), rebalance=rebalance)
    placement = place(question)
    found = moves(kept, plan_of(placement, kept), placement, replaced)
    return {each.change.workload: (each.change.kind, each.why) for each in found}


def test_what_is_gone() -> None:
    kept = planned(wish("w", on=SMALL.id))
    alone = replace(BOX, cards=(BIG,))
    assert reasons(kept, wish("w"), hosts=(alone,)) == {"w": ("moved", f"{SMALL.id} is gone")}
    far = planned(wish("w"), hosts=(OTHER,))
    assert reasons(far, wish("w")) == {"w": ("moved", "zoo is gone")}
    assert reasons(kept, wish("w", 20_000), hosts=(OTHER,)) == {"w": ("unplaced", "box is gone")}


def test_a_swapped_card() -> None:
    kept = planned(wish("w", on=SMALL.id))
    new = replace(SMALL, id="GPU-new")
    hosts = (replace(BOX, cards=(BIG, new)),)
    assert reasons(kept, wish("w"), hosts=hosts, replaced={SMALL.id: new.id}) == {
        "w": ("moved", "the card was swapped")
    }
    # A smaller one does not hold it: it moves for another reason.
    little = replace(card("box", 1, "quadro-m2000", 2), id=new.id)
    assert reasons(
        kept, wish("w"), hosts=(replace(BOX, cards=(BIG, little)),), replaced={SMALL.id: new.id}
    ) == {"w": ("moved", f"as it runs now it does not fit on {new.id}")}


def test_a_file_that_says_otherwise() -> None:
    kept = planned(wish("w", on=SMALL.id), wish("old", 100))
    assert reasons(kept, wish("w", 8000, on=SMALL.id)) == {
        "old": ("removed", "no longer asked for"),
        "w": ("changed", "as the workloads file asks now"),
    }
    assert reasons(kept, wish("w", on=BIG.id), wish("old", 100)) == {
        "w": ("moved", f"it may not be on {SMALL.id} now")
    }
    asks = wish("w", on=SMALL.id)
    other = replace(asks, workload=replace(asks.workload, env=(("A", "b"),)))
    assert reasons(kept, other, wish("old", 100)) == {"w": ("changed", None)}


def test_what_came_in_between() -> None:
    kept = planned(wish("w", on=SMALL.id))
    used = replace(SMALL, foreign_mib=5000)
    assert reasons(kept, wish("w"), hosts=(replace(BOX, cards=(BIG, used)),)) == {
        "w": ("moved", f"as it runs now it does not fit on {SMALL.id}")
    }
    assert reasons(kept, wish("w"), wish("new", on=SMALL.id, priority=90)) == {
        "new": ("added", None),
        "w": ("moved", "makes room for new"),
    }


def test_a_workload_that_grew_where_it_was() -> None:
    kept = planned(wish("w", on=SMALL.id), wish("grows", 1000, on=SMALL.id))
    assert reasons(kept, wish("w"), wish("grows", 8000, on=SMALL.id, priority=90)) == {
        "grows": ("changed", "as the workloads file asks now"),
        "w": ("moved", "makes room for grows"),
    }


def test_rebalancing() -> None:
    kept = planned(wish("w", 1000, on=SMALL.id), wish("x", 1000, on=BIG.id))
    found = reasons(kept, wish("w", 1000), wish("x", 1000), rebalance=True)
    assert set(found.values()) == {("moved", "this is better, and --rebalance lets it move")}
    assert reasons(kept, wish("w", 1000), wish("x", 1000)) == {}


def test_one_that_shrinks_where_it_is() -> None:
    service = catalog.service("llama.cpp")
    assert service
    asks = Workload("chat", "llama.cpp", 1, model="straight", gpus=GpuLimits(uuids=(SMALL.id,)))
    chat = Wish(asks, service, Straight(8000, 1000, quants=("F16", "Q4_K_M")))
    kept = planned(chat)
    found = reasons(kept, chat, wish("new", 5000, on=SMALL.id))
    assert found == {"chat": ("changed", "makes room for new"), "new": ("added", None)}
