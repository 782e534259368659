"""A good answer to start the solver from, where the search did not get through.

All workloads are packed with the variants that ask least, which places as many as it can; then one after another, the
most important first, each gets the best variant with which everything still packs. At last each one alone is moved to
where it does best. Better is what tiers 1 to 4 say. Best fit decreasing packs, so cards that are in use fill first.
"""

from collections.abc import Sequence

from labctl.place.solver_instance import Instance
from labctl.place.solver_search import claimed_mib, scores, urgency
from labctl.place.solver_state import State

Chosen = list[int | None]
ROUNDS = 3


def improved(instance: Instance, start: Sequence[int | None]) -> Chosen:
    """The start, or something better."""
    greedy = _Greedy(instance)
    best = max([list(start), greedy.packed()], key=greedy.score)
    return greedy.moved(best)


class _Greedy:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._scores = scores(instance)
        self._by_urgency = sorted(range(len(instance.workloads)), key=lambda each: urgency(instance, each))
        self._groups = [self._variants(mine) for mine in instance.of]

    def score(self, chosen: Sequence[int | None]) -> int:
        return sum(self._scores[number] for number in chosen if number is not None)

    def _variants(self, mine: list[int]) -> list[list[int]]:
        """Candidates of one workload in groups, the preferred first: as it runs, then rank by rank."""
        running = [number for number in mine if self._instance.candidates[number].unchanged]
        ranks = sorted({self._instance.candidates[number].rank for number in mine})
        by_rank = [[n for n in mine if self._instance.candidates[n].rank == rank] for rank in ranks]
        return [running, *by_rank] if running else by_rank

    def packed(self) -> Chosen:
        """Everything packed, each with the best variant that leaves room for all others."""
        taken = [self._smallest(groups) for groups in self._groups]
        by_size = sorted(self._by_urgency, key=lambda each: urgency(self._instance, each)[1:])
        order = max((by_size, self._by_urgency), key=lambda each: self.score(self._pack(each, taken)))
        best = self._pack(order, taken)
        for workload in self._by_urgency:
            for place in range(taken[workload]):
                tried = [*taken[:workload], place, *taken[workload + 1 :]]
                found = self._pack(order, tried)
                if self.score(found) > self.score(best):
                    taken, best = tried, found
                    break
        return best

    def _smallest(self, groups: list[list[int]]) -> int:
        least = [min(claimed_mib(self._instance, number) for number in group) for group in groups]
        return least.index(min(least)) if least else 0

    def _pack(self, order: Sequence[int], taken: Sequence[int]) -> Chosen:
        state = State(self._instance)
        chosen: Chosen = [None] * len(taken)
        for workload in order:
            if self._groups[workload]:
                number = self._tightest(state, self._groups[workload][taken[workload]])
                if number is not None:
                    state.place(self._instance.candidates[number])
                    chosen[workload] = number
        return chosen

    def _tightest(self, state: State, numbers: Sequence[int]) -> int | None:
        candidates = self._instance.candidates
        fitting = ((*state.cost(candidates[n]), n) for n in numbers if state.fits(candidates[n]))
        best = min(fitting, default=None)
        return best[-1] if best else None

    def moved(self, chosen: Chosen) -> Chosen:
        """Each workload in turn taken out and put where it does best."""
        for _ in range(ROUNDS):
            before = self.score(chosen)
            for workload in self._by_urgency:
                chosen = [*chosen[:workload], self._best_place(workload, chosen), *chosen[workload + 1 :]]
            if self.score(chosen) == before:
                break
        return chosen

    def _best_place(self, workload: int, chosen: Chosen) -> int | None:
        state, candidates = State(self._instance), self._instance.candidates
        for other, number in enumerate(chosen):
            if number is not None and other != workload:
                state.place(candidates[number])
        mine = (n for n in self._instance.of[workload] if state.fits(candidates[n]))
        found = min(((-self._scores[n], *state.cost(candidates[n]), n) for n in mine), default=None)
        return found[-1] if found and found[0] < 0 else None
