"""What would give a refused workload a place: every suggestion was solved again, and holds, before it is shown.

A lower priority never stands in the way, so stopping or moving one never helps: the first tier has seen to that. What
helps is asking for less, others asking for less, sharing, or more hardware. Each lever is tried by itself; two together
only where none of its sort (what is written, what is bought) does it alone. The work is bounded by a number of
questions solved, never by time.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product

from labctl.errors import BadInput
from labctl.place.placement import Placement, Question, place
from labctl.place.problem import Option
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import Alternatives, Change, Kind, Suggestion, Worse
from labctl.place.suggestion_ladders import bought, bought_together, written
from labctl.place.suggestion_levers import Ladder, Lever

# Questions solved for one workload: for what is written, for two of those together, for what is bought.
MOST_WRITTEN, MOST_TOGETHER, MOST_BOUGHT = 40, 30, 12
# Enough to choose from; those that take least away are tried first.
ENOUGH, ENOUGH_TOGETHER, ENOUGH_BOUGHT = 6, 3, 2
# Of a problem with so many options one solution is work enough: a part of those questions is asked.
LARGE, SHARE_OF_LARGE = 4000, 8
# Slower by less is not worth a word.
_NOTICED = 0.9
_ABOUT_MEMORY: frozenset[Kind] = frozenset(
    {"kv_type", "context", "size", "parallel", "quant", "optimizer", "offload", "cap", "processor", "model"}
)


def suggestions(placement: Placement, other: Alternatives) -> Mapping[str, tuple[Suggestion, ...]]:
    """For every refused workload what would give it a place, that which takes least away first; empty: nothing found.

    other: what the catalogue has beside what was asked for.
    """
    return {each.workload: _Search(placement, each, other).found() for each in placement.refused}


class _Search:
    """What would help one workload."""

    def __init__(self, placement: Placement, refused: Refused, other: Alternatives) -> None:
        self._before = placement
        self._refused = refused
        self._name = refused.workload
        self._other = other
        self._part = SHARE_OF_LARGE if len(placement.problem.options) > LARGE else 1
        self._left = 0

    def found(self) -> tuple[Suggestion, ...]:
        """Best first."""
        before, refused, other = self._before, self._refused, self._other
        ladders = written(before, refused, other)
        helps = self._first(((ladder,) for ladder in ladders), MOST_WRITTEN, ENOUGH)
        if not helps:
            helps = self._first(combinations(ladders, 2), MOST_TOGETHER, ENOUGH_TOGETHER)
        single = ((ladder,) for ladder in bought(before, refused, other))
        more = self._first(single, MOST_BOUGHT, ENOUGH_BOUGHT)
        if not more:
            more = self._first(bought_together(before, refused, other), MOST_BOUGHT, ENOUGH_BOUGHT)
        ranked = sorted((*helps, *more), key=lambda each: each[0].burden(self._name))
        return tuple(self._said(change, after) for change, after in ranked)

    def _first(
        self, tried: Iterable[tuple[Ladder, ...]], most: int, enough: int
    ) -> list[tuple[Change, Placement]]:
        """The least that helps of each, until there is enough or too much was asked."""
        self._left = max(1, most // self._part)
        helping: list[tuple[Change, Placement]] = []
        for ladders in tried:
            if len(helping) >= enough or self._left <= 0:
                break
            if helps := self._least(ladders):
                helping.append(helps)
        return helping

    def _least(self, ladders: Sequence[Ladder]) -> tuple[Change, Placement] | None:
        """The first rungs that help together. Of two ladders the last rungs go first: mostly nothing helps."""
        if len(ladders) > 1 and self._tried([ladder[-1] for ladder in ladders if ladder]) is None:
            return None
        for levers in product(*ladders):
            if self._left <= 0:
                break
            if helps := self._tried(levers):
                return helps
        return None

    def _tried(self, levers: Sequence[Lever]) -> tuple[Change, Placement] | None:
        """Widely first; then with only so much of it as the answer makes use of, if that holds too."""
        wide = self._applied(levers, None)
        after = wide and self._holding(wide.question)
        if wide is None or after is None:
            return None
        narrow = self._applied(levers, after)
        if narrow is None or narrow.writes == wide.writes:
            return wide, after
        closer = self._holding(narrow.question)
        return (narrow, closer) if closer is not None else (wide, after)

    def _applied(self, levers: Sequence[Lever], found: Placement | None) -> Change | None:
        """All of them, one upon the other."""
        made: list[Change] = []
        question = self._before.question
        for lever in levers:
            change = lever.apply(question, found)
            if change is None:
                return None
            made.append(change)
            question = change.question
        return Change(
            tuple(kind for each in made for kind in each.kinds),
            tuple(line for each in made for line in each.writes),
            "; ".join(each.note for each in made),
            question,
            tuple(dict.fromkeys(name for each in made for name in each.on)),
        )

    def _holding(self, question: Question) -> Placement | None:
        """The answer to a changed question, if it is one to show."""
        self._left -= 1
        try:
            after = place(question)
        except BadInput:  # the change cannot be meant, as a job that would displace a job
            return None
        return after if holds(self._before, after, self._name) else None

    def _said(self, change: Change, after: Placement) -> Suggestion:
        before, option = self._before, after.placed[self._name]
        lines = " and ".join(f"`{line}`" for line in change.writes)
        also = (each.workload for each in before.refused if each.workload in after.placed)
        return Suggestion(
            workload=self._name,
            change=f"{lines}: {change.note}",
            writes=change.writes,
            kinds=change.kinds,
            saves_mib=_saves_mib(before, after, change),
            host=option.host,
            cards=tuple(sorted(option.claims_mib)),
            tokens_per_second=_speed(option),
            worse=tuple(_worse(before, after, change, self._name)),
            also=tuple(name for name in also if name != self._name),
        )


def holds(before: Placement, after: Placement, name: str) -> bool:
    """Whether the workload has a place now, and none of its priority or a higher one has lost its own."""
    priority = {each.name: each.priority for each in before.problem.workloads}
    lost = set(before.placed) - set(after.placed)
    return name in after.placed and all(priority[each] < priority[name] for each in lost)


def _worse(before: Placement, after: Placement, change: Change, name: str) -> Iterable[Worse]:
    """Who loses a place, has a variant that was wished for less, or is slower. Not the workload itself: it had none."""
    for each, option in before.placed.items():
        then = after.placed.get(each)
        if then is None:
            yield Worse(each, True, (_speed(option), None))
        elif each != name and (_wished_less(option, then, each in change.on) or _slower(option, then)):
            yield Worse(each, False, (_speed(option), _speed(then)))


def _wished_less(option: Option, then: Option, changed: bool) -> bool:
    """Ranks compare where the wishes are the same; where they were changed, another variant is what was given up."""
    return option.variant_id != then.variant_id if changed else then.rank > option.rank


def _slower(option: Option, then: Option) -> bool:
    return (then.decitokens_per_second or 0) < _NOTICED * (option.decitokens_per_second or 0)


def _speed(option: Option) -> float | None:
    return None if option.decitokens_per_second is None else option.decitokens_per_second / 10


def _saves_mib(before: Placement, after: Placement, change: Change) -> int | None:
    """On all cards together: before, what was placed or the least that could have been; None where nothing is saved."""
    if not set(change.kinds) <= _ABOUT_MEMORY:
        return None
    saved = 0
    for name in change.on:
        if name not in after.placed:
            continue
        ways = [each for each in before.problem.options if each.workload == name and each.claims_mib]
        held = before.placed.get(name) or min(ways, key=_claimed, default=None)
        if held is None:
            return None
        saved += _claimed(held) - _claimed(after.placed[name])
    return saved if saved > 0 else None


def _claimed(option: Option) -> int:
    return sum(option.claims_mib.values())
