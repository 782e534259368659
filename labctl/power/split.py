"""Splits a budget of watts among cards where it costs the least speed, in whole watts and exactly.

What is kept of each card's speed (PoweredCard.kept_in_all) is counted alike, whatever the card: which workload runs
where is not known here. The speed kept rises with the limit, along straight pieces and steps, and not concavely: giving
the next watt to whoever gains most from it gets stuck before a cliff. But of two cards strictly inside straight pieces,
watts can be moved to the one that gains more per watt until one of them comes to the end of its piece, and nothing is
lost by it. So in some best split at most one card is inside a piece; all others stand at ends, and those are few
enough to try all sums of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor

from labctl.power.card import PoweredCard

_NOT_REACHED = float("-inf")
# Differences of sums of floats under this are none.
_NOISE = 1e-9


def least_watts(card: PoweredCard) -> int:
    """The least a card can be set to; where nobody knows, the least that its curve was measured at."""
    assert card.default_watts is not None
    if card.min_watts is not None:
        return card.min_watts
    return min(card.default_watts, ceil(_shares(card)[0] * card.default_watts))


def most_watts(card: PoweredCard) -> int:
    """The most that buys any speed: the default, or the card's maximum if that is less."""
    assert card.default_watts is not None
    return max(least_watts(card), min(card.default_watts, card.max_watts or card.default_watts))


def split(cards: Sequence[PoweredCard], budget_watts: int) -> dict[str, int]:
    """Watts of each card by its id, together at most the budget, with the most speed kept in sum.

    Equal cards get equal limits where that costs nothing. The budget must hold every card at its least.
    """
    spare = budget_watts - sum(map(least_watts, cards))
    if spare < 0:
        raise ValueError("the budget is under the least of the cards")
    if sum(map(most_watts, cards)) <= budget_watts:
        return {card.id: most_watts(card) for card in cards}
    best: tuple[float, list[int]] = (_NOT_REACHED, [])
    tried = set()
    for index, free in enumerate(cards):
        if _kind(free) not in tried:  # equal cards can change places
            tried.add(_kind(free))
            found = _with_free(cards, index, spare)
            best = found if found[0] > best[0] + _NOISE else best
    watts = best[1]
    for kind in dict.fromkeys(map(_kind, cards)):
        _level([index for index, card in enumerate(cards) if _kind(card) == kind], cards, watts)
    return {card.id: each for card, each in zip(cards, watts, strict=True)}


def ends(card: PoweredCard) -> tuple[int, ...]:
    """Whole watts from a card's least to its most, between which the speed kept is a straight line or constant."""
    assert card.default_watts is not None
    least, most = least_watts(card), most_watts(card)
    around = {
        end for share in _shares(card) for end in (floor(share * card.default_watts), ceil(share * card.default_watts))
    }  # fmt: skip
    return tuple(sorted({least, most} | {each for each in around if least < each < most}))


def _with_free(cards: Sequence[PoweredCard], free: int, spare: int) -> tuple[float, list[int]]:
    """The best split in which only the card `free` may stand between two ends: speed kept, watts of each card."""
    reached = [_NOT_REACHED] * (spare + 1)  # by watts given out over the least
    reached[0] = 0.0
    chosen: list[list[int]] = []
    for index, card in enumerate(cards):
        if index != free:
            reached, choice = _add(card, reached)
            chosen.append(choice)
    card, least = cards[free], least_watts(cards[free])
    room = most_watts(card) - least
    given, speed = max(
        ((used, so_far + card.kept_in_all(least + min(room, spare - used))) for used, so_far in enumerate(reached)
         if so_far > _NOT_REACHED),
        key=lambda each: each[1],
    )  # fmt: skip
    watts = [least + min(room, spare - given)]
    others = [each for index, each in enumerate(cards) if index != free]
    for each, choice in zip(reversed(others), reversed(chosen), strict=True):
        watts.append(least_watts(each) + choice[given])
        given -= choice[given]
    free_watts, *rest = watts
    rest.reverse()
    return speed, [*rest[:free], free_watts, *rest[free:]]


def _add(card: PoweredCard, reached: list[float]) -> tuple[list[float], list[int]]:
    """With one more card: the best speed by watts given out, and what this card has of them."""
    least = least_watts(card)
    options = [(watts - least, card.kept_in_all(watts)) for watts in ends(card)]
    best = [_NOT_REACHED] * len(reached)
    choice = [0] * len(reached)
    for before, so_far in enumerate(reached):
        if so_far == _NOT_REACHED:
            continue
        for over, speed in options:
            at = before + over
            if at >= len(reached):
                break
            if so_far + speed > best[at]:
                best[at], choice[at] = so_far + speed, over
    return best, choice


def _level(equal: list[int], cards: Sequence[PoweredCard], watts: list[int]) -> None:
    """Let equal cards on one straight piece share it evenly: a line loses nothing by it, and people expect it."""
    card = cards[equal[0]]
    for low, high in pairwise(ends(card)):
        here = [index for index in equal if low <= watts[index] <= high]
        if len(here) < 2 or not _straight(card, low, high):
            continue
        each, over = divmod(sum(watts[index] for index in here), len(here))
        for place, index in enumerate(here):
            watts[index] = each + (place < over)


def _straight(card: PoweredCard, low: int, high: int) -> bool:
    """Not a step: what is held over a piece jumps at its upper end."""
    if high - low < 2:
        return high - low == 1
    first, last = card.kept_in_all(low), card.kept_in_all(high)
    middle = (low + high) // 2
    on_line = first + (last - first) * (middle - low) / (high - low)
    return abs(card.kept_in_all(middle) - on_line) < _NOISE


def _kind(card: PoweredCard) -> tuple[object, ...]:
    return card.curve, card.default_watts, least_watts(card), most_watts(card)


def _shares(card: PoweredCard) -> tuple[float, ...]:
    return tuple(sorted({*card.curve.decode.breaks, *card.curve.prefill.breaks}))
