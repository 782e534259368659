"""An instance as linear constraints over whole numbers, in the text form that CP-SAT reads."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from labctl.place.solver_instance import Instance
from labctl.place.solver_state import State

Terms = dict[int, int]


@dataclass
class Model:
    """Variables are numbered as they are added; the first are the candidates, 1 where chosen."""

    instance: Instance
    domains: list[tuple[int, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def variable(self, least: int, most: int) -> int:
        self.domains.append((least, most))
        return len(self.domains) - 1

    def limit(self, terms: Terms, most: int) -> None:
        """Σ terms ≤ most."""
        self.lines.append(constraint(terms, None, most))

    def at_most_one(self, literals: Sequence[int]) -> None:
        if len(literals) > 1:
            self.lines.append("constraints{at_most_one{literals:[" + ",".join(map(str, literals)) + "]}}")

    def text(self) -> str:
        """The whole model, without an objective."""
        variables = [f"variables{{domain:[{least},{most}]}}" for least, most in self.domains]
        return "\n".join([*variables, *self.lines])


NO_LIMIT = 2**62


def constraint(terms: Terms, least: int | None, most: int | None) -> str:
    """least ≤ Σ terms ≤ most, as text."""
    low, high = -NO_LIMIT if least is None else least, NO_LIMIT if most is None else most
    return f"constraints{{linear{{{_terms(terms)} domain:[{low},{high}]}}}}"


def _terms(terms: Terms) -> str:
    variables = ",".join(map(str, terms))
    return f"vars:[{variables}] coeffs:[{','.join(map(str, terms.values()))}]"


def objective(terms: Terms, below: int | None = None) -> str:
    """To minimise. below: only values under this one are of interest."""
    domain = "" if below is None else f" domain:[{-NO_LIMIT},{below - 1}]"
    return f"objective{{{_terms(terms)}{domain}}}"


def hint(values: Sequence[int]) -> str:
    """A known answer to start from."""
    variables = ",".join(str(number) for number in range(len(values)))
    return f"solution_hint{{vars:[{variables}] values:[{','.join(map(str, values))}]}}"


class PlacementModel:
    """The limits of `problem` over the candidates. in_use, alone, peaks: variables, as `values_of` fills them."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.model = Model(instance)
        self.on: list[list[int]] = [[] for _ in instance.cards]
        for number, candidate in enumerate(instance.candidates):
            self.model.variable(0, 1)
            for card in candidate.cards:
                self.on[card].append(number)
        for mine in instance.of:
            self.model.at_most_one(mine)
        self.in_use = [self.model.variable(0, 1) for _ in instance.cards]
        self.alone = [self.model.variable(0, 1) for _ in instance.cards]
        self.peaks: dict[tuple[int, int], int] = {}
        self.taken = [self._taken(resource) for resource in range(len(instance.capacities))]
        self._capacities()
        self._cards()
        self._homes()
        self._pools()

    def _taken(self, resource: int) -> Terms:
        """What a resource is used for: candidates, and the peaks of time-share sets."""
        terms: Terms = {}
        of_set: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, candidate in enumerate(self.instance.candidates):
            for needed, amount in candidate.needs:
                if needed == resource:
                    shared = self.instance.set_of.get(candidate.workload)
                    if shared is None or resource >= self.instance.first_added:
                        terms[number] = amount
                    else:
                        of_set[shared].append((number, amount))
        for shared, pairs in of_set.items():
            most = self.instance.capacities[resource]
            if most is None:
                continue
            peak = self.peaks[shared, resource] = self.model.variable(0, most)
            terms[peak] = 1
            for state in self.instance.shared[shared].states:
                present = {n: amount for n, amount in pairs if self.instance.candidates[n].workload in state}
                self.model.limit({**present, peak: -1}, 0)
        return terms

    def _capacities(self) -> None:
        for resource, capacity in enumerate(self.instance.capacities):
            if capacity is None or not self.taken[resource]:
                continue
            if resource < len(self.instance.cards):
                self.model.limit({**self.taken[resource], self.in_use[resource]: -capacity}, 0)
                self._counts(resource, capacity)
            elif set(self.taken[resource].values()) == {capacity} == {1}:
                self.model.at_most_one(list(self.taken[resource]))
            else:
                self.model.limit(self.taken[resource], capacity)

    def _counts(self, card: int, capacity: int) -> None:
        """Of claims over capacity/(k+1), at most k fit: what a fractional solution does not see by itself."""
        amounts = {n: amount for n, amount in self.taken[card].items() if n < len(self.instance.candidates)}
        seen = 0
        for most in range(1, 6):
            large = [number for number, amount in amounts.items() if amount * (most + 1) > capacity]
            workloads = {self.instance.candidates[number].workload for number in large}
            if len(workloads) > most and len(large) > seen:
                self.model.limit({**dict.fromkeys(large, 1), self.in_use[card]: -most}, 0)
                seen = len(large)

    def _cards(self) -> None:
        for card, numbers in enumerate(self.on):
            by_workload: dict[int, list[int]] = defaultdict(list)
            for number in numbers:
                by_workload[self.instance.candidates[number].workload].append(number)
            for workload, mine in by_workload.items():
                self.model.limit({**dict.fromkeys(mine, 1), self.in_use[card]: -1}, 0)
                for other in self.instance.apart[workload]:
                    if other > workload and other in by_workload:
                        self.model.at_most_one([*mine, *by_workload[other]])
                if self.instance.cards[card].nvlink:
                    single = [n for n in mine if len(self.instance.candidates[n].cards) == 1]
                    self.model.limit({**dict.fromkeys(single, 1), self.alone[card]: -1}, 0)

    def _homes(self) -> None:
        """One host per time-share set."""
        self.homes: dict[tuple[int, int], int] = {}
        for number, shared in enumerate(self.instance.shared):
            of_host: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
            for workload in sorted(shared.members):
                for each in self.instance.of[workload]:
                    of_host[self.instance.candidates[each].host][workload].append(each)
            for host, by_workload in sorted(of_host.items()):
                home = self.homes[number, host] = self.model.variable(0, 1)
                for mine in by_workload.values():
                    self.model.limit({**dict.fromkeys(mine, 1), home: -1}, 0)
            self.model.at_most_one([self.homes[number, host] for host in sorted(of_host)])

    def _pools(self) -> None:
        """Of a unified card, what is free: what tier 7 is about."""
        self.free: dict[int, int] = {}
        for number, card in enumerate(self.instance.cards):
            if card.unified:
                host = next(h for h, each in enumerate(self.instance.hosts) if each.name == card.host)
                free = self.free[number] = self.model.variable(0, card.usable_mib)
                self.model.limit({free: 1, **self.taken[number]}, card.usable_mib)
                ram = self.instance.ram(host)
                self.model.limit({free: 1, **self.taken[ram]}, self.instance.capacities[ram] or 0)

    def values_of(self, chosen: Iterable[int | None]) -> list[int]:
        """Of every variable, for an answer."""
        values = [0] * len(self.model.domains)
        state = State(self.instance)
        for number in chosen:
            if number is None:
                continue
            candidate = self.instance.candidates[number]
            state.place(candidate)
            values[number] = 1
            for card in candidate.cards:
                values[self.in_use[card]] = 1
                if len(candidate.cards) == 1 and self.instance.cards[card].nvlink:
                    values[self.alone[card]] = 1
            shared = self.instance.set_of.get(candidate.workload)
            if shared is not None:
                values[self.homes[shared, candidate.host]] = 1
        for (shared, resource), peak in self.peaks.items():
            values[peak] = state.peak(shared, resource)
        for card, free in self.free.items():
            values[free] = state.free_mib(card)
        return values
