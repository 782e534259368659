"""Branch and bound in plain Python: proves small problems optimal in milliseconds, and starts the solver off otherwise.

Workload by workload, highest priority and largest first; of equal empty cards only the first is tried. Tiers 1 to 4
add up over workloads, so the best that the rest could do is the sum of each one's best; they are one long integer here,
each tier above all that those after it can reach. Tiers 5 and 6 only grow; what the rest needs gives tier 6 a bound.
"""

from dataclasses import dataclass

from labctl.place.solver_instance import Candidate, Instance
from labctl.place.solver_state import State

# Score of tiers 1 to 4, then tiers 5, 6 and 7; more is better in each.
Key = tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """chosen: a candidate or None per workload. proven: nothing is better."""

    chosen: list[int | None]
    proven: bool


def search(instance: Instance, most_steps: int) -> Found:
    """The best choice found while looking at so many candidates; the first is what a greedy placement gives."""
    searching = _Search(instance, most_steps)
    proven = searching.descend(0, 0)
    return Found(searching.best, proven)


class _Search:
    def __init__(self, instance: Instance, most_steps: int) -> None:
        self._instance = instance
        self._state = State(instance)
        self._steps_left = most_steps
        self._scores = scores(instance)
        self._order = sorted(range(len(instance.workloads)), key=lambda each: urgency(instance, each))
        self._bounds, self._least_mib = self._suffixes()
        self._groups = [self._grouped(workload) for workload in range(len(instance.workloads))]
        self._twin_groups = [group for group in instance.twins if len(group) > 1]
        self._before = {
            card: group[:place] for group in self._twin_groups for place, card in enumerate(group)
        }
        self._chosen: list[int | None] = [None] * len(instance.workloads)
        self.best = list(self._chosen)
        self._best_key: Key | None = None

    def _suffixes(self) -> tuple[list[int], list[int]]:
        """Per depth: the best score of the rest, and the least memory that it takes with that score."""
        bounds, least = [0], [0]
        shared = self._instance.set_of
        for workload in reversed(self._order):
            mine = self._instance.of[workload]
            best = max((self._scores[number] for number in mine), default=0)
            bounds.append(bounds[-1] + max(0, best))
            claims = [claimed_mib(self._instance, number) for number in mine if self._scores[number] == best]
            least.append(least[-1] + (min(claims, default=0) if workload not in shared else 0))
        return bounds[::-1], least[::-1]

    def descend(self, depth: int, score: int) -> bool:
        """Everything below; False when the steps ran out."""
        if self._best_key is not None and self._optimistic(depth, score) <= self._best_key:
            return True
        if depth == len(self._order):
            key = (score, *self._state.last_tiers())
            if self._best_key is None or key > self._best_key:
                self._best_key, self.best = key, list(self._chosen)
            return True
        if self._steps_left < 0 and self._best_key is not None:
            return False
        workload = self._order[depth]
        for gained, numbers in self._groups[workload]:
            if self._best_key is not None and score + gained + self._bounds[depth + 1] < self._best_key[0]:
                break
            for number in self._ordered(numbers):
                candidate = self._instance.candidates[number]
                undo = self._state.place(candidate)
                self._chosen[workload] = number
                done = self.descend(depth + 1, score + gained)
                self._chosen[workload] = None
                self._state.take_back(candidate, undo)
                if not done:
                    return False
        return self.descend(depth + 1, score)

    def _grouped(self, workload: int) -> list[tuple[int, list[int]]]:
        """Candidates by what they gain, most first."""
        gains: dict[int, list[int]] = {}
        for number in self._instance.of[workload]:
            gains.setdefault(self._scores[number], []).append(number)
        return sorted(gains.items(), reverse=True)

    def _ordered(self, numbers: list[int]) -> list[int]:
        """Those of them that fit now, the promising ones first."""
        self._steps_left -= len(numbers)
        fitting = []
        for number in numbers:
            candidate = self._instance.candidates[number]
            if self._state.fits(candidate) and not self._is_mirrored(candidate):
                fitting.append((*self._state.cost(candidate), number))
        return [each[-1] for each in sorted(fitting)]

    def _is_mirrored(self, candidate: Candidate) -> bool:
        """Whether it uses an empty card though an equal one before it is empty too."""
        counts = self._state.workloads_on
        return any(
            not counts[card]
            and any(not counts[twin] and twin not in candidate.cards for twin in self._before[card])
            for card in candidate.cards
            if card in self._before
        )

    def _optimistic(self, depth: int, score: int) -> Key:
        bound = score + self._bounds[depth]
        if self._best_key is None or bound != self._best_key[0]:
            return (bound, 0, 0, 0)
        peers, in_use = self._state.peers, self._state.cards_in_use
        more = self._state.cards_more(self._least_mib[depth])
        return (bound, -peers, -(in_use + more), self._state.most_free(self._least_mib[depth]))


def urgency(instance: Instance, workload: int) -> tuple[int, int, int]:
    """For sorting: the highest priority first, then the largest."""
    least = min((claimed_mib(instance, number) for number in instance.of[workload]), default=0)
    return (-instance.workloads[workload].priority, -least, workload)


def claimed_mib(instance: Instance, number: int) -> int:
    """What a candidate claims of all cards."""
    n_cards = len(instance.cards)
    return sum(amount for resource, amount in instance.candidates[number].needs if resource < n_cards)


def scores(instance: Instance) -> list[int]:
    """Per candidate one integer that orders sums of them as tiers 1 to 4 do."""
    priorities = sorted({each.priority for each in instance.workloads})
    speeds = sum(max((instance.candidates[n].speed for n in mine), default=0) for mine in instance.of)
    ranks = sum(max((instance.candidates[n].rank for n in mine), default=0) for mine in instance.of)
    count = len(instance.workloads)
    weight = speeds + 1
    rank_weights, place_weights = {}, {}
    for priority in priorities:
        rank_weights[priority] = weight
        weight *= ranks + 1
    change_weight = weight
    weight *= count + 1
    for priority in priorities:
        place_weights[priority] = weight
        weight *= count + 1
    found = []
    for each in instance.candidates:
        priority = instance.workloads[each.workload].priority
        found.append(
            place_weights[priority]
            + change_weight * each.unchanged
            - rank_weights[priority] * each.rank
            + each.speed
        )
    return found
