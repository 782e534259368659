"""A budget among cards: as good as trying everything, fair among equals, never over it."""

import random
from itertools import product

import pytest

from labctl.power.card import PoweredCard
from labctl.power.split import ends, least_watts, most_watts, split
from tests.labctl.power.cards import card


def kept(cards: list[PoweredCard], watts: dict[str, int]) -> float:
    return sum(each.kept_in_all(watts[each.id]) for each in cards)


def by_trying_everything(cards: list[PoweredCard], budget: int) -> float:
    ranges = [range(least_watts(each), most_watts(each) + 1) for each in cards]
    tables = [
        {watts: each.kept_in_all(watts) for watts in every} for each, every in zip(cards, ranges, strict=True)
    ]
    # The last card takes what is left: more is never worse.
    *others, last = ranges
    best = 0.0
    for given in product(*others):
        rest = budget - sum(given)
        if rest >= last[0]:
            speed = sum(table[watts] for table, watts in zip(tables, given, strict=False))
            best = max(best, speed + tables[-1][min(rest, last[-1])])
    return best


def generated(seed: int) -> tuple[list[PoweredCard], int]:
    """Two or three cards, equal ones among them, with ranges of a real kind, and a budget between least and most."""
    generator = random.Random(seed)
    kinds = []
    for _ in range(2):
        default = generator.randrange(60, 140)
        least = generator.choice((None, generator.randrange(20, default)))
        most = generator.choice((None, generator.randrange(max(default, (least or 0) + 1), 160)))
        kinds.append((generator.choice(("rtx-3090", "rtx-4090", "rtx-5060-ti-16gb")), default, least, most))
    count = generator.choice((2, 3))
    cards = []
    for number in range(count):
        name, default, least, most = generator.choice(kinds)
        cards.append(card(name, number, default, least, most))
    low, high = sum(map(least_watts, cards)), sum(map(most_watts, cards))
    return cards, generator.randint(low, high)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_better_is_found_by_trying_everything(seed: int) -> None:
    cards, budget = generated(seed)
    watts = split(cards, budget)
    assert sum(watts.values()) <= budget
    assert all(least_watts(each) <= watts[each.id] <= most_watts(each) for each in cards)
    assert kept(cards, watts) == pytest.approx(by_trying_everything(cards, budget), abs=1e-9)


@pytest.mark.parametrize(
    ("budget", "watts"),
    [
        (560, [280, 280]),
        (561, [281, 280]),
        (700, [350, 350]),
        (900, [350, 350]),
        # Two at 150 W would read a prompt at a quarter of the speed; one at 200 W does so at 60 %.
        (350, [150, 200]),
    ],
)
def test_two_3090(budget: int, watts: list[int]) -> None:
    cards = [card(number=0), card(number=1)]
    assert sorted(split(cards, budget).values()) == sorted(watts)


def test_a_board_that_takes_less_than_its_default_gets_no_more() -> None:
    watts = split([card(number=0, most=300), card(number=1)], 640)
    assert list(watts.values()) == [300, 340]
    assert most_watts(card(most=300)) == 300


def test_a_card_is_not_starved_into_its_cliff_while_another_runs_at_full_power() -> None:
    cards = [card(number=number) for number in range(4)]
    assert min(split(cards, 4 * 220).values()) >= 200


def test_who_stands_first_in_the_list_does_not_matter() -> None:
    cards = [card(number=0), card("rtx-4090", 1, 450, 150, 600), card("rtx-3060", 2, 170, 100, 190)]
    forward, backward = split(cards, 700), split(cards[::-1], 700)
    assert kept(cards, forward) == pytest.approx(kept(cards, backward))


def test_sixteen_cards_of_as_many_kinds_are_split() -> None:
    cards = [card("rtx-3090", number, 350 + number, 100, 400) for number in range(16)]
    watts = split(cards, 16 * 280)
    assert sum(watts.values()) == 16 * 280
    assert min(watts.values()) >= 250


def test_the_least_of_a_card_whose_range_nobody_knows_is_what_was_measured() -> None:
    assert (
        least_watts(card("rtx-4090", 0, 450, None, None)) == 129
    )  # 100 of 350 W, of the reference's prefill
    assert ends(card())[0] == 100
    with pytest.raises(ValueError, match="under the least"):
        split([card()], 99)
