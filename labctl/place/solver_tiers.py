"""The tiers one after another as objectives of the model: each proven or bounded, then held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labctl.place.problem import Value
from labctl.place.solver_cp_sat import CpSat
from labctl.place.solver_instance import Instance
from labctl.place.solver_model import PlacementModel, Terms, constraint, hint, objective
from labctl.place.solver_state import State


@dataclass(frozen=True)
class Level:
    """One number of a tier, to be made least. terms: over variables; the tier's value is sign · (Σ terms + offset)."""

    tier: int
    terms: Terms
    sign: int
    offset: int = 0


@dataclass(frozen=True)
class Solved:
    """chosen: per workload. bounds: per tier, vectors as the values are."""

    chosen: list[int | None]
    bounds: tuple[Value, ...]


class TierSolver:
    """Starts from an answer and improves it, tier by tier, within a budget of deterministic time."""

    def __init__(self, instance: Instance, chosen: Sequence[int | None], budget: float) -> None:
        self._instance = instance
        self._placement = PlacementModel(instance)
        self._chosen = list(chosen)
        self._values = self._placement.values_of(chosen)
        self._budget = budget
        self._solver: CpSat | None = None
        self._held: list[str] = []
        self._open = set(range(len(instance.candidates)))
        self._must = [False] * len(instance.workloads)

    def solve(self) -> Solved:
        """All tiers in turn."""
        levels = list(self._levels())
        bounds: list[list[int]] = [[] for _ in range(6)]
        for place, level in enumerate(levels):
            bounds[level.tier - 1].append(self._close(level, len(levels) - place + 1))
        seventh = self._seventh()
        second = None if self._instance.problem.rebalance else bounds[1][0]
        return Solved(
            self._chosen,
            (tuple(bounds[0]), second, tuple(bounds[2]), bounds[3][0], bounds[4][0], bounds[5][0], seventh),
        )

    def _levels(self) -> Iterator[Level]:
        instance = self._instance
        candidates = list(enumerate(instance.candidates))
        priority_of = [each.priority for each in instance.workloads]
        for priority in instance.problem.priorities:
            yield Level(1, {n: -1 for n, each in candidates if priority_of[each.workload] == priority}, -1)
        if not instance.problem.rebalance:
            running = sum(each.incumbent is not None for each in instance.workloads)
            yield Level(2, {n: -1 for n, each in candidates if each.unchanged}, 1, running)
        for priority in instance.problem.priorities:
            mine = ((n, each) for n, each in candidates if priority_of[each.workload] == priority)
            yield Level(3, {n: each.rank for n, each in mine if each.rank}, 1)
        yield Level(4, {n: -each.speed for n, each in candidates if each.speed}, -1)
        peers = [len(card.nvlink) for card in instance.cards]
        yield Level(5, {self._placement.alone[card]: count for card, count in enumerate(peers) if count}, 1)
        yield Level(6, dict.fromkeys(self._placement.in_use, 1), 1)

    def _close(self, level: Level, levels_left: int) -> int:
        """Makes one level as small as the budget allows, holds it, and returns the tier's bound."""
        value = self._value(level.terms)
        bound = self._easy_bound(level)
        if value > bound:
            share = 0.5 if level.tier == 1 else 2 / (levels_left + 1)
            bound = max(bound, self._improve(level.terms, share, bound))
            value = self._value(level.terms)
        if level.terms:
            self._hold(level.terms, value)
        if level.tier <= 4:
            self._narrow(level.terms, value)
        return level.sign * (bound + level.offset)

    def _value(self, terms: Terms) -> int:
        return sum(factor * self._values[variable] for variable, factor in terms.items())

    def _hold(self, terms: Terms, value: int) -> None:
        text = constraint(terms, None, value)
        if self._solver:
            self._solver.restrict(text)
        else:
            self._held.append(text)

    def _improve(self, terms: Terms, share: float, bound: int, below: int | None = None) -> int:
        """The bound that a share of the budget proves, taking over what is better; `below` itself when nothing is."""
        if self._budget <= 0:
            return bound
        if self._solver is None:
            self._solver = CpSat("\n".join([self._placement.model.text(), *self._held]))
        answer = self._solver.least(objective(terms, below), hint(self._values), self._budget * share)
        self._budget -= answer.spent
        if answer.impossible and below is not None:
            return below
        if answer.values is None or answer.bound is None:
            return bound
        if sum(factor * answer.values[variable] for variable, factor in terms.items()) < self._value(terms):
            self._take(answer.values)
        return answer.bound

    def _take(self, values: list[int]) -> None:
        self._chosen = [
            next((number for number in mine if values[number]), None) for mine in self._instance.of
        ]
        # What the solver left larger than it has to be (peaks of time-share sets, cards marked as used) is made exact.
        self._values = self._placement.values_of(self._chosen)

    def _easy_bound(self, level: Level) -> int:
        """What each workload could do at best, by itself."""
        if level.tier > 4:
            return self._fewest_cards() if level.tier == 6 else 0
        return sum(self._best(level.terms, workload) for workload in range(len(self._instance.of)))

    def _best(self, terms: Terms, workload: int) -> int:
        mine = [terms.get(number, 0) for number in self._instance.of[workload] if number in self._open]
        return min(mine if self._must[workload] and mine else [0, *mine])

    def _narrow(self, terms: Terms, value: int) -> None:
        """Where each workload has to do its best, what is not its best is out."""
        best = [self._best(terms, workload) for workload in range(len(self._instance.of))]
        if value != sum(best):
            return
        for workload, mine in enumerate(self._instance.of):
            kept = [n for n in mine if n in self._open and terms.get(n, 0) == best[workload]]
            self._open -= set(mine) - set(kept)
            self._must[workload] = self._must[workload] or best[workload] < 0

    def _fewest_cards(self) -> int:
        """For the least memory that all which must be placed claim."""
        n_cards = len(self._instance.cards)
        needed = 0
        for workload, mine in enumerate(self._instance.of):
            if self._must[workload] and workload not in self._instance.set_of:
                needed += min(
                    sum(
                        amount
                        for resource, amount in self._instance.candidates[n].needs
                        if resource < n_cards
                    )
                    for n in mine
                    if n in self._open
                )
        return State(self._instance).cards_more(needed)

    def _seventh(self) -> int:
        """The largest free memory of one card: each kind of card in turn, the most promising first."""
        cards = self._instance.cards
        bound = self._most_free()
        kinds = sorted(
            (group[-1] for group in self._instance.twins), key=lambda card: (-cards[card].usable_mib, card)
        )
        for place, card in enumerate(kinds):
            if cards[card].usable_mib > self._most_free():
                bound = max(bound, self._freest(card, 2 / (len(kinds) - place + 1)))
        return max(bound, self._most_free())

    def _freest(self, card: int, share: float) -> int:
        """A bound on what this card, or its like, can have free; what is more than any card has is taken over."""
        usable, most = self._instance.cards[card].usable_mib, self._most_free()
        if card in self._placement.free:
            return -self._improve({self._placement.free[card]: -1}, share, -usable, below=-most)
        return usable - self._improve(self._placement.taken[card], share, 0, below=usable - most)

    def _most_free(self) -> int:
        return max((self._free(each) for each in range(len(self._instance.cards))), default=0)

    def _free(self, card: int) -> int:
        if card in self._placement.free:
            return self._values[self._placement.free[card]]
        return self._instance.cards[card].usable_mib - self._value(self._placement.taken[card])
