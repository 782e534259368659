"""Which card gets which limit, and what is refused before anything changes."""

import pytest

from labctl.errors import BadInput
from labctl.power.limits import Wanted, limits
from tests.labctl.power.cards import card

FIRST, SECOND, OTHER = card(number=0), card(number=1), card("rtx-4090", 2, 450, 150, 600)
CARDS = (FIRST, SECOND, OTHER)


@pytest.mark.parametrize(
    ("asked", "budget", "found"),
    [
        ({}, None, {}),
        ({"rtx-3090": 280}, None, {FIRST.id: 280, SECOND.id: 280}),
        ({"NVIDIA GeForce RTX 3090": 280}, None, {FIRST.id: 280, SECOND.id: 280}),
        ({OTHER.id: 300}, None, {OTHER.id: 300}),
        ({"all": 300, "rtx-3090": 280, SECOND.id: 250}, None, {FIRST.id: 280, SECOND.id: 250, OTHER.id: 300}),
        ({}, 1150, {FIRST.id: 350, SECOND.id: 350, OTHER.id: 450}),
        ({}, 2000, {FIRST.id: 350, SECOND.id: 350, OTHER.id: 450}),
        ({OTHER.id: 300}, 860, {FIRST.id: 280, SECOND.id: 280, OTHER.id: 300}),
        ({"all": 300}, 900, {FIRST.id: 300, SECOND.id: 300, OTHER.id: 300}),
    ],
)
def test_the_closest_limit_counts_and_the_rest_share_the_budget(
    asked: dict[str, int], budget: int | None, found: dict[str, int]
) -> None:
    assert limits(CARDS, Wanted(asked, budget)) == found


@pytest.mark.parametrize(
    ("asked", "budget", "message"),
    [
        ({"rtx-3090": 90}, None, r"rtx-3090 GPU-00000000 takes no such limit .*90 W, expected 100 to 375 W"),
        ({"rtx-3090": 376}, None, "expected 100 to 375 W.*its default is 350 W; nothing was changed"),
        ({"all": 400}, None, "gpu_power.limits: all: .*found 400 W"),
        ({"GPU-deadbeef": 280}, None, "no card here has this UUID .*found GPU-deadbeef.*GPU-00000000, "),
        ({"GPU-00000009": 280}, None, "did you mean GPU-0000000"),
        ({"rtx-3080": 280}, None, "no card here is of this model .*did you mean rtx-3090"),
        ({"banana": 280}, None, "expected rtx-3090, rtx-4090.*labctl gpus"),
        ({}, 349, "less than 3 cards need .*found 349 W, expected 350 W or more"),
        ({"rtx-4090": 300}, 499, r"expected 500 W or more \(2 at their least, 1 at their limits\)"),
        ({"all": 300}, 899, "expected 900 W or more"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    asked: dict[str, int], budget: int | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        limits(CARDS, Wanted(asked, budget))
    assert refused.value.where
    assert refused.value.hint


@pytest.mark.parametrize("wanted", [Wanted({"all": 100}), Wanted({}, 500)])
def test_a_card_without_limits_of_its_own_is_refused(wanted: Wanted) -> None:
    with pytest.raises(BadInput, match="cannot be set"):
        limits((FIRST, card("rtx-3060", 1, None, None, None)), wanted)


def test_it_may_have_none_while_others_have() -> None:
    assert limits((FIRST, card("rtx-3060", 1, None, None, None)), Wanted({"rtx-3090": 280})) == {
        FIRST.id: 280
    }


def test_a_range_that_nobody_knows_refuses_nothing() -> None:
    assert limits((card(least=None, most=None),), Wanted({"all": 20})) == {FIRST.id: 20}


def test_a_host_without_cards_has_no_limits() -> None:
    assert limits((), Wanted({}, 500)) == {}
    assert limits((), Wanted({"all": 280})) == {}
