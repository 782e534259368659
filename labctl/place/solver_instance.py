"""A problem made ready for solving: numbers for names, hopeless and dominated options gone, equal cards found."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from labctl.place.problem import Card, Option, Problem, Workload, may_share
from labctl.place.problem_json import option_key, quick_key
from labctl.place.problem_limits import adds_power, kept_host, over_psu, time_share_sets
from labctl.place.tiers import changes

Need = tuple[int, int]


@dataclass(frozen=True)
class Candidate:
    """An option that may be chosen. index: its position in the problem. needs: (resource, amount) each.

    unchanged: 1 where it keeps an incumbent as it runs. speed: load × decitokens per second.
    """

    index: int
    workload: int
    host: int
    cards: tuple[int, ...]
    needs: tuple[Need, ...]
    rank: int
    speed: int
    unchanged: int


@dataclass(frozen=True)
class Shared:
    """A time-share set. states: the workloads resident together."""

    members: frozenset[int]
    states: tuple[frozenset[int], ...]


class Instance:
    """What the searches work on. Everything is sorted by name, so the order of the input changes nothing.

    capacities: per resource; cards come first, then per host RAM, watts, disk and ports. Those from `first_added` on
    add up even within time-share sets. apart: per workload those that may not have a card in common with it.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.cards = sorted(problem.cards, key=lambda card: card.id)
        self.hosts = sorted(problem.hosts, key=lambda host: host.name)
        self.workloads = sorted(problem.workloads, key=lambda workload: workload.name)
        self._card_of = {card.id: number for number, card in enumerate(self.cards)}
        self._host_of = {host.name: number for number, host in enumerate(self.hosts)}
        self.workload_of = {workload.name: number for number, workload in enumerate(self.workloads)}
        self.capacities, self.first_added, self._port_of = self._resources()
        self.shared = [
            Shared(self._numbers(each.members), tuple(self._numbers(state) for state in each.states))
            for each in time_share_sets(self.workloads)
        ]
        self.set_of = {member: number for number, each in enumerate(self.shared) for member in each.members}
        self.apart: dict[int, set[int]] = {number: set() for number in range(len(self.workloads))}
        for (a, one), (b, other) in combinations(enumerate(self.workloads), 2):
            if not may_share(one, other):
                self.apart[a].add(b)
                self.apart[b].add(a)
        self.candidates = list(self._undominated(self._possible()))
        self.of: list[list[int]] = [[] for _ in self.workloads]
        for number, candidate in enumerate(self.candidates):
            self.of[candidate.workload].append(number)
        self.twins = self._twins()

    def ram(self, host: int) -> int:
        """The resource that is a host's RAM."""
        return len(self.cards) + host

    def _numbers(self, names: Iterable[str]) -> frozenset[int]:
        return frozenset(self.workload_of[name] for name in names)

    def _resources(self) -> tuple[list[int | None], int, dict[tuple[int, int], int]]:
        capacities: list[int | None] = [card.usable_mib for card in self.cards]
        capacities += [host.ram_mib for host in self.hosts]
        capacities += [
            None if host.psu_watts is None else max(0, host.psu_watts - host.watts) for host in self.hosts
        ]
        first_added = len(capacities)
        capacities += [host.disk_mib for host in self.hosts]
        ports = sorted(
            {(self._host_of[each.host], port) for each in self.problem.options for port in each.ports}
        )
        port_of = {port: len(capacities) + number for number, port in enumerate(ports)}
        capacities += [0 if port in self.hosts[host].taken_ports else 1 for host, port in ports]
        return capacities, first_added, port_of

    def _possible(self) -> Iterator[tuple[Candidate, Option]]:
        """Options that no limit rules out by itself, sorted."""
        kept = {each.name: kept_host(self.problem, each) for each in self.workloads}
        for index in _in_order(self.problem.options):
            option = self.problem.options[index]
            workload = self.workloads[self.workload_of[option.workload]]
            host = self.hosts[self._host_of[option.host]]
            if (
                kept[workload.name] not in (None, host.name)
                or (workload.exclusive and self._has_foreign(option))
                or (adds_power(option) and over_psu(host, 0))
            ):
                continue
            candidate = self._candidate(index, option, workload)
            capacities = ((self.capacities[resource], amount) for resource, amount in candidate.needs)
            if all(capacity is None or amount <= capacity for capacity, amount in capacities):
                yield candidate, option

    def _has_foreign(self, option: Option) -> bool:
        return any(self.cards[self._card_of[card]].foreign_process for card in option.claims_mib)

    def _candidate(self, index: int, option: Option, workload: Workload) -> Candidate:
        host = self._host_of[option.host]
        hosts, cards = len(self.hosts), len(self.cards)
        claims = sorted((self._card_of[card], claim) for card, claim in option.claims_mib.items())
        unified_mib = sum(claim for card, claim in claims if self.cards[card].unified)
        needs = [
            *claims,
            (cards + host, option.ram_mib + unified_mib),
            (cards + hosts + host, option.watts),
            (cards + 2 * hosts + host, option.disk_mib),
            *((self._port_of[host, port], 1) for port in option.ports),
        ]
        stays = bool(workload.incumbent) and not changes(workload, option) and not self.problem.rebalance
        return Candidate(
            index=index,
            workload=self.workload_of[workload.name],
            host=host,
            cards=tuple(card for card, _ in claims),
            needs=tuple((resource, amount) for resource, amount in needs if amount),
            rank=option.rank,
            speed=workload.load * (option.decitokens_per_second or 0),
            unchanged=int(stays),
        )

    def _undominated(self, possible: Iterable[tuple[Candidate, Option]]) -> Iterator[Candidate]:
        """Without those that another on the same cards makes pointless. That one may not change more than they do."""
        kept: dict[tuple[int, int, tuple[int, ...], tuple[int, ...]], list[Candidate]] = defaultdict(list)
        arrived = []
        for candidate, option in possible:
            arrived.append(candidate.index)
            place = (candidate.workload, candidate.host, candidate.cards, tuple(sorted(option.ports)))
            if not any(_dominates(each, candidate) for each in kept[place]):
                # They come by rank, so that only those of its own rank can be worse.
                kept[place] = [
                    each
                    for each in kept[place]
                    if each.rank < candidate.rank or not _dominates(candidate, each)
                ]
                kept[place].append(candidate)
        found = {each.index: each for group in kept.values() for each in group}
        yield from (found[index] for index in arrived if index in found)

    def _twins(self) -> list[list[int]]:
        """Groups of cards that may trade places: the candidates are the same again when two of them are swapped."""
        kinds: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for number, each_card in enumerate(self.cards):
            kinds[self._kind(each_card)].append(number)
        signatures = {self._signature(each, None) for each in self.candidates}
        on: dict[int, list[Candidate]] = defaultdict(list)
        for each in self.candidates:
            for card in each.cards:
                on[card].append(each)
        groups: list[list[int]] = []
        for alike in kinds.values():
            classes: list[list[int]] = []
            for card in alike:
                for group in classes:
                    swap = (group[0], card)
                    moved = [*on[group[0]], *on[card]]
                    if all(self._signature(each, swap) in signatures for each in moved):
                        group.append(card)
                        break
                else:
                    classes.append([card])
            groups += classes
        return sorted(groups)

    def _kind(self, card: Card) -> tuple[object, ...]:
        return (card.host, card.usable_mib, card.unified, len(card.nvlink))

    @staticmethod
    def _signature(candidate: Candidate, swap: tuple[int, int] | None) -> tuple[object, ...]:
        renamed = {swap[0]: swap[1], swap[1]: swap[0]} if swap else {}
        needs = sorted((renamed.get(resource, resource), amount) for resource, amount in candidate.needs)
        cards = sorted(renamed.get(card, card) for card in candidate.cards)
        return (
            candidate.workload,
            candidate.host,
            tuple(cards),
            tuple(needs),
            candidate.rank,
            candidate.speed,
            candidate.unchanged,
        )

    def choice(self, chosen: Sequence[int | None]) -> dict[str, int | None]:
        """Positions in the problem of the candidates chosen per workload."""
        return {
            workload.name: None if number is None else self.candidates[number].index
            for workload, number in zip(self.workloads, chosen, strict=True)
        }


def _in_order(options: Sequence[Option]) -> list[int]:
    """Positions, sorted. Writing out every variant takes longer than the rest, and is hardly ever needed."""
    keys = [quick_key(option) for option in options]
    if len(set(keys)) < len(keys):
        keys = [option_key(option) for option in options]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _dominates(one: Candidate, other: Candidate) -> bool:
    """On the same host, cards and ports: nowhere worse."""
    if one.rank > other.rank or one.speed < other.speed or one.unchanged < other.unchanged:
        return False
    amounts = dict(other.needs)
    return all(amount <= amounts.get(resource, 0) for resource, amount in one.needs)
