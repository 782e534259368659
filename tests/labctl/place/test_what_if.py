"""Rigs as they would be: what changes, what must not, and what is refused."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.edges.rigs import read_rig
from labctl.errors import BadInput
from labctl.place.build import build
from labctl.place.what_if import with_added, with_power_limit, with_ram, without
from labctl.rig.rig import Host, Rig

SEVEN = read_rig("workloads/rigs/seven-gpu-epyc.yaml")
DUAL = read_rig("workloads/rigs/dual-3090.yaml")
SPARK = read_rig("workloads/rigs/dgx-spark.yaml")
P40 = catalog.gpu("tesla-p40")
TWO_HOSTS = Rig("two", (*DUAL.hosts, Host("other", ())))


def test_an_added_card_is_the_catalogues_behind_the_others() -> None:
    added = with_added(DUAL, P40, 2)
    assert added.cards[:2] == DUAL.cards
    first, second = added.cards[2:]
    assert (first.id, second.id) == ("aibox/new-1", "aibox/new-2")
    assert (first.index, second.index) == (2, 3)
    assert first.gpu is P40
    assert (first.host, first.nvlink) == ("aibox", ())
    # As a rig file with that card would have it.
    alike = next(card for card in SEVEN.cards if card.gpu is P40)
    assert (first.memory_mib, first.reserved_mib) == (alike.memory_mib, alike.reserved_mib)
    assert [card.id for card in with_added(added, P40).cards[2:]] == [
        "aibox/new-1", "aibox/new-2", "aibox/new-3",
    ]  # fmt: skip


def test_a_card_that_takes_anothers_slot_does_not_take_its_name() -> None:
    swapped = with_added(without(DUAL, ["aibox/1"]), P40)
    assert [card.id for card in swapped.cards] == ["aibox/0", "aibox/new-1"]


def test_links_of_the_cards_that_remain_stay_right() -> None:
    left = without(SEVEN, ["frame/0", "frame/4"])
    assert {card.id: card.nvlink for card in left.cards} == {
        "frame/1": (), "frame/2": (3,), "frame/3": (2,), "frame/5": (), "frame/6": (),
    }  # fmt: skip
    cards = {card.id: card for card in build((), with_added(left, P40, 2)).cards}
    assert cards["frame/2"].nvlink == ("frame/3",)
    assert cards["frame/3"].nvlink == ("frame/2",)
    assert cards["frame/new-1"].nvlink == ()


def test_the_rig_that_was_given_stays_as_it_is() -> None:
    before = read_rig("workloads/rigs/seven-gpu-epyc.yaml")
    with_ram(with_power_limit(without(with_added(SEVEN, P40), ["frame/0"]), 150), 64)
    assert before == SEVEN


def test_a_power_limit_for_all_or_some() -> None:
    assert [card.power_limit_watts for card in with_power_limit(DUAL, 200).cards] == [200, 200]
    assert [card.power_limit_watts for card in with_power_limit(DUAL, 375, ["aibox/1"]).cards] == [280, 375]


@pytest.mark.parametrize("watts", [0, -5, 99, 376])
def test_a_limit_outside_the_catalogues_range_is_refused(watts: int) -> None:
    with pytest.raises(BadInput, match=r"aibox/0.*found .* W, expected 100 to 375 W"):
        with_power_limit(DUAL, watts)


def test_the_boards_own_range_goes_first() -> None:
    cards = tuple(replace(card, power_min_watts=150, power_max_watts=480) for card in DUAL.cards)
    rig = Rig("own", (replace(DUAL.hosts[0], cards=cards),))
    assert with_power_limit(rig, 480).cards[0].power_limit_watts == 480
    with pytest.raises(BadInput, match="150 to 480 W"):
        with_power_limit(rig, 120)


def test_above_its_default_a_card_of_unknown_range_is_not_driven() -> None:
    gpu = replace(P40, power_min_watts=None, power_max_watts=None)
    rig = with_added(Rig("one", (Host("box", ()),)), gpu)
    assert with_power_limit(rig, 250).cards[0].power_limit_watts == 250
    with pytest.raises(BadInput, match="1 to 250 W"):
        with_power_limit(rig, 251)


def test_ram() -> None:
    changed = with_ram(TWO_HOSTS, 64.5, "aibox")
    assert changed.host("aibox").ram_mib == 66048
    assert changed.host("other") == TWO_HOSTS.host("other")
    for gib in (0, -1, 1e9):
        with pytest.raises(BadInput, match="not an amount of RAM"):
            with_ram(DUAL, gib)
    with pytest.raises(BadInput, match="cannot be changed"):
        with_ram(SPARK, 256)


def test_what_is_not_there_or_not_said_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no card of that name.*aibox/7.*aibox/0, aibox/1"):
        without(DUAL, ["aibox/7"])
    with pytest.raises(BadInput, match="no card of that name"):
        with_power_limit(DUAL, 200, ["aibox/7"])
    with pytest.raises(BadInput, match=r"which host is not said.*aibox or other"):
        with_added(TWO_HOSTS, P40)
    with pytest.raises(BadInput, match="which host is not said"):
        with_ram(TWO_HOSTS, 64)
    with pytest.raises(BadInput, match=r"no host of that name.*elsewhere"):
        with_added(TWO_HOSTS, P40, host="elsewhere")
    with pytest.raises(BadInput, match="a machine of its own"):
        with_added(DUAL, catalog.gpu("dgx-spark"))
    with pytest.raises(BadInput, match="no host takes so many"):
        with_added(DUAL, P40, 63)
    with pytest.raises(BadInput, match="not a number of cards"):
        with_added(DUAL, P40, 0)
