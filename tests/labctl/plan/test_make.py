"""From a placement to its plan: what each workload is given, and what stays of one without a place."""

from dataclasses import replace

from labctl.edges import catalog
from labctl.place.options import Wish
from labctl.place.placement import Question
from labctl.place.problem import Incumbent
from labctl.plan.plan import Plan, Unplaced
from labctl.rig.rig import Host, Rig
from labctl.workloads.workload import FineTuning, GpuLimits, Window, Workload
from tests.labctl.place.simulated import Straight
from tests.labctl.plan.questions import answered, card

BOX = Host("box", (card("box", 0, "rtx-3090", 1), card("box", 1, "rtx-3090", 2)), ram_mib=65536)
PLAIN = Workload("w", "container", 1)


def wish(workload: Workload, candidate: Straight | None = None) -> Wish:
    service = catalog.service(workload.service)
    assert service
    return Wish(workload, service, candidate)


def made(*wishes: Wish, host: Host = BOX, runs: dict[str, Incumbent] | None = None) -> Plan:
    return answered(Question(wishes, Rig("home", (host,)), runs or {}))[0]


def test_an_engine_that_fills_what_it_finds_claims_the_card_whatever_others_hold_of_it() -> None:
    busy = replace(BOX, cards=(replace(BOX.cards[0], foreign_mib=999), BOX.cards[1]))
    for host in (BOX, busy):
        found = made(
            wish(replace(PLAIN, service="ollama", gpus=GpuLimits(uuids=(BOX.cards[0].id,)))), host=host
        )
        (claim,) = found.workloads["w"].cards
        whole = (BOX.cards[0].memory_mib or 0) - BOX.cards[0].reserved_mib
        assert (claim.low_mib, claim.high_mib, claim.parts_mib) == (0, whole, None)
        assert found.workloads["w"].elastic


def test_a_cap_is_the_claim_and_the_engine_no_longer_elastic() -> None:
    found = made(wish(replace(PLAIN, service="ollama", vram_mib=5000))).workloads["w"]
    assert [(each.low_mib, each.expected_mib, each.high_mib) for each in found.cards] == [(5000, 5000, 5000)]
    assert not found.elastic


def test_a_model_over_two_cards_has_positions_and_parts() -> None:
    shared = replace(PLAIN, service="llama.cpp", model="straight", gpus=GpuLimits(count=2))
    found = made(wish(shared, Straight(30000, 1000))).workloads["w"]
    assert [(each.card, each.position) for each in found.cards] == [
        (BOX.cards[0].id, 0),
        (BOX.cards[1].id, 1),
    ]
    for each in found.cards:
        assert each.parts_mib is not None
        assert set(each.parts_mib) == {"weights", "kv_cache", "compute", "scratch", "context_overhead"}
        assert each.low_mib <= sum(each.parts_mib.values()) <= each.high_mib
    assert len(found.variant["tensor_split"]) == 2


def test_what_the_person_wrote_is_in_it() -> None:
    written = replace(
        PLAIN,
        image="x:1",
        args=("-v",),
        env=(("A", "b"),),
        volumes=(("data", "/data"),),
        devices=("/dev/x",),
        data="/srv",
        uses=("y",),
        expose="lan",
        when=Window(23 * 60 + 5, 60),
        training=FineTuning("qlora", 1, 1024),
        gpus=GpuLimits(exclusive=True),
        ram_mib=100,
        disk_mib=200,
    )
    found = made(wish(written)).workloads["w"]
    assert (found.image, found.args, found.env) == ("x:1", ("-v",), {"A": "b"})
    assert (found.volumes, found.devices, found.data) == ({"data": "/data"}, ("/dev/x",), "/srv")
    assert (found.uses, found.expose, found.when) == (("y",), "lan", "23:05-01:00")
    assert found.training == {
        "method": "qlora",
        "batch": 1,
        "sequence": 1024,
        "optimizer": "adamw",
        "rank": 16,
    }
    assert (found.exclusive, found.ram_mib, found.disk_mib) == (True, 100, 200)


def test_where_the_data_of_one_without_a_place_lies_is_not_forgotten() -> None:
    ran = {"w": Incumbent("box", (), "{}"), "x": Incumbent("box", (), "{}")}
    impossible = replace(PLAIN, ram_mib=10**6)
    found = made(
        wish(replace(impossible, service="nextcloud")), wish(replace(impossible, name="x")), runs=ran
    )
    assert found.unplaced == {"w": Unplaced("nextcloud", "box"), "x": Unplaced("container", None)}
    assert found.workloads == {}
    assert made(wish(replace(impossible, service="nextcloud"))).unplaced == {"w": Unplaced("nextcloud")}
