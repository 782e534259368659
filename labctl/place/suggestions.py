"""What would give a refused workload a place: every suggestion was solved again, and holds, before it is shown.

A lower priority never stands in the way, so stopping or moving one never helps: the first tier has seen to that. What
helps is asking for less, others asking for less, sharing, or more hardware. Each lever is tried by itself; two together
only where none of its sort (what is written, what is bought) does it alone. The work is bounded by a number of
questions solved, never by time.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product

from labctl.errors import BadInput
from labctl.place.placement import Placement, Question, place
from labctl.place.problem import Option
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import KINDS, Alternatives, Change, Kind, Suggestion, Worse
from labctl.place.suggestion_ladders import bought, written
from labctl.place.suggestion_levers import Ladder, Lever, leanest
from labctl.place.suggestion_targets import Target, relieved, targets

# Questions solved for one workload: for what is written, for two of those together, for what is bought.
MOST_RELIEVED, MOST_WRITTEN, MOST_TOGETHER, MOST_BOUGHT = 32, 40, 30, 12
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


_Way = Callable[[Placement, str, Target, Alternatives], list[Ladder]]


class _Search:
    """What would help one workload."""

    def __init__(self, placement: Placement, refused: Refused, other: Alternatives) -> None:
        self._before = placement
        self._name = refused.workload
        self._other = other
        self._targets = targets(placement, refused)
        self._known: dict[tuple[Target, Target], bool] = {}
        self._made: dict[tuple[_Way, Target], list[Ladder]] = {}
        self._part = SHARE_OF_LARGE if len(placement.problem.options) > LARGE else 1
        # The same card may stand in several orders of trying.
        self._in_vain: set[tuple[str, ...]] = set()
        self._left = 0

    def found(self) -> tuple[Suggestion, ...]:
        """Best first."""
        self._left = MOST_RELIEVED // self._part
        alone = {each for each in self._targets if self._relieves(each)}
        found = self._first(self._alone(written, alone), MOST_WRITTEN, ENOUGH)
        if not found:
            found = self._first(self._two_written(alone), MOST_TOGETHER, ENOUGH_TOGETHER)
        more = self._first(self._alone(bought, alone), MOST_BOUGHT, ENOUGH_BOUGHT)
        if not more:
            simple = any(len(change.kinds) == 1 for change, _ in found)
            more = self._first(self._two_bought(alone, simple), MOST_TOGETHER, ENOUGH_BOUGHT)
        said = [self._said(change, after) for change, after in (*found, *more)]
        return tuple(sorted(said, key=lambda each: each.burden))

    def _relieves(self, *gone: Target) -> bool:
        """Whether these, asking for nothing, would leave a place: if not, no lever on them does."""
        question = relieved(self._before.question, self._name, gone)
        return self._holding(question, {each.name for each in gone}) is not None

    def _alone(self, way: _Way, alone: set[Target]) -> Iterator[tuple[Ladder, ...]]:
        """One ladder, on a target that is enough; those that take least away first."""
        found = [
            (KINDS.index(ladder[0].kind), number, ladder)
            for number, target in enumerate(self._targets)
            if target in alone
            for ladder in self._ladders(way, target)
        ]
        yield from ((ladder,) for *_, ladder in sorted(found, key=lambda each: each[:2]))

    def _two_written(self, alone: set[Target]) -> Iterator[tuple[Ladder, ...]]:
        """Two on a target that would be enough if it gave way altogether, then on two such, then on any two."""
        for target in self._targets:
            if target in alone:
                yield from combinations(self._ladders(written, target), 2)
        for one, other in self._pairs(alone):
            yield from self._worth_a_try(one, self._ladders(written, one), other, written)

    def _two_bought(self, alone: set[Target], helped: bool) -> Iterator[tuple[Ladder, ...]]:
        """What is bought with what is written, unless that alone helped; then two that are bought."""
        found = list(self._pairs(alone))
        for one, other in found:
            if not helped:
                yield from self._worth_a_try(one, self._ladders(written, one), other, bought)
                yield from self._worth_a_try(other, self._ladders(written, other), one, bought)
        for one, other in found:
            yield from product(self._ladders(bought, one), self._ladders(bought, other))

    def _worth_a_try(
        self, one: Target, ladders: list[Ladder], other: Target, way: _Way
    ) -> Iterator[tuple[Ladder, ...]]:
        """Each ladder on one target with each on another, if it would do with that asking for nothing."""
        for ladder in ladders:
            if self._left <= 0:
                return
            wide = self._applied([ladder[-1]], None)
            if wide is None:
                continue
            asked = relieved(leanest(wide.question, wide.on), self._name, (other,))
            if self._holding(asked, {other.name}) is None:
                continue
            yield from ((ladder, beside) for beside in self._ladders(way, other))

    def _pairs(self, alone: set[Target]) -> Iterator[tuple[Target, Target]]:
        """Two targets that are enough together, those that one of is enough first."""
        every = sorted(combinations(self._targets, 2), key=lambda pair: -len(alone & set(pair)))
        for one, other in every:
            if {one, other} & alone or self._enough_together(one, other):
                yield one, other

    def _enough_together(self, one: Target, other: Target) -> bool:
        if (one, other) not in self._known:
            left, self._left = self._left, MOST_RELIEVED
            self._known[one, other] = self._relieves(one, other)
            self._left = left
        return self._known[one, other]

    def _ladders(self, way: _Way, target: Target) -> list[Ladder]:
        if (way, target) not in self._made:
            self._made[way, target] = way(self._before, self._name, target, self._other)
        return self._made[way, target]

    def _first(
        self, tried: Iterable[tuple[Ladder, ...]], most: int, enough: int
    ) -> list[tuple[Change, Placement]]:
        """The least that helps of each, until there is enough or too much was asked."""
        self._left = max(1, most // self._part)
        helping: list[tuple[Change, Placement]] = []
        for ladders in tried:
            if len(helping) >= enough or self._left <= 0:
                break
            helps = self._least(ladders)
            if helps and all(helps[0].writes != change.writes for change, _ in helping):
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
        if wide is None or wide.writes in self._in_vain:
            return None
        helps = self._helps(levers, wide)
        if helps is None:
            self._in_vain.add(wide.writes)
        return helps

    def _helps(self, levers: Sequence[Lever], wide: Change) -> tuple[Change, Placement] | None:
        # All variants of a model take a second to estimate; mostly not even the one that asks least helps.
        if wide.on and self._holding(leanest(wide.question, wide.on)) is None:
            return None
        after = self._holding(wide.question)
        if after is None:
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
            tuple(part for each in made for part in each.written),
            question,
            tuple(dict.fromkeys(name for each in made for name in each.on)),
        )

    def _holding(self, question: Question, gone: Collection[str] = ()) -> Placement | None:
        """The answer to a changed question, if it is one to show. gone: who may lose a place."""
        self._left -= 1
        try:
            after = place(question)
        except BadInput:  # the change cannot be meant, as a job that would displace a job
            return None
        return after if holds(self._before, after, self._name, gone) else None

    def _said(self, change: Change, after: Placement) -> Suggestion:
        before, option = self._before, after.placed[self._name]
        also = (each.workload for each in before.refused if each.workload in after.placed)
        return Suggestion(
            workload=self._name,
            change=str(change),
            writes=change.writes,
            kinds=change.kinds,
            saves_mib=_saves_mib(before, after, change),
            host=option.host,
            cards=tuple(sorted(option.claims_mib)),
            tokens_per_second=_speed(option),
            worse=tuple(_worse(before, after, change, self._name)),
            also=tuple(name for name in also if name != self._name),
            on=change.on,
        )


def holds(before: Placement, after: Placement, name: str, gone: Collection[str] = ()) -> bool:
    """Whether the workload has a place now, and none of its priority or a higher one has lost its own.

    gone: those that do not count.
    """
    priority = {each.name: each.priority for each in before.problem.workloads}
    lost = set(before.placed) - set(after.placed) - set(gone)
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
