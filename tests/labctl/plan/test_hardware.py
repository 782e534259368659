"""What a plan is bound to: hardware, and nothing that changes by itself."""

from dataclasses import replace

import pytest

from labctl.edges.rigs import read_rig
from labctl.plan.hardware import hardware_of
from labctl.rig.rig import Card, Host, Rig
from tests.labctl.plan.questions import card

BOX = Host("box", (card("box", 0, "rtx-3090", 1), card("box", 1, "rtx-3060", 2)), ram_mib=64_216)


def fingerprint(*hosts: Host) -> str:
    return hardware_of(Rig("home", hosts)).fingerprint


def with_cards(*cards: Card) -> Host:
    return replace(BOX, cards=cards)


FIRST, SECOND = BOX.cards
USED = [
    replace(BOX, ram_mib=64_200, disk_gib=9, disk_free_gib=1, psu_watts=700, driver="1.2", host_watts=9),
    with_cards(replace(FIRST, foreign_mib=4000, power_limit_watts=200, display=True, reserved_mib=1), SECOND),
    with_cards(SECOND, FIRST),
    with_cards(replace(FIRST, compute_mode="prohibited", pci="00000000:42:00.0"), SECOND),
]
OTHER = [
    replace(BOX, ram_mib=32_216),
    replace(BOX, name="else"),
    with_cards(FIRST),
    with_cards(FIRST, SECOND, card("box", 2, "rtx-3060", 3)),
    with_cards(replace(FIRST, memory_mib=24_000), SECOND),
    with_cards(replace(FIRST, id="GPU-else"), SECOND),
    with_cards(replace(FIRST, gpu=SECOND.gpu), SECOND),
    with_cards(replace(FIRST, index=1), replace(SECOND, index=0)),
]


@pytest.mark.parametrize("host", USED)
def test_use_is_no_hardware(host: Host) -> None:
    assert fingerprint(host) == fingerprint(BOX)


def test_other_hardware_has_another_fingerprint() -> None:
    found = [fingerprint(each) for each in (BOX, *OTHER)]
    assert len(set(found)) == len(found)


def test_neither_names_of_rigs_nor_the_order_of_hosts_matter() -> None:
    second = replace(BOX, name="aaa", cards=())
    one, other = Rig("home", (BOX, second)), Rig("else", (second, BOX))
    assert hardware_of(one).fingerprint == hardware_of(other).fingerprint
    assert [host.name for host in hardware_of(one).hosts] == ["aaa", "box"]


def test_a_kernel_that_takes_a_little_more_of_unified_memory_makes_no_other_machine() -> None:
    spark = card("spark", 0, "dgx-spark", 1)
    one, other = (Host("spark", (replace(spark, memory_mib=mib),), ram_mib=mib) for mib in (122_570, 122_560))
    assert fingerprint(one) == fingerprint(other)
    assert hardware_of(Rig("x", (one,))).hosts[0].cards[0].memory_mib == 120 * 1024


def test_cards_that_go_by_their_place_bind_nothing() -> None:
    assert hardware_of(Rig("home", (BOX,))).bound
    assert not hardware_of(read_rig("workloads/rigs/dual-3090.yaml")).bound
    mixed = with_cards(replace(FIRST, id="box/0"), SECOND)
    assert not hardware_of(Rig("home", (mixed,))).bound
    assert hardware_of(Rig("home", (replace(BOX, cards=()),))).bound
