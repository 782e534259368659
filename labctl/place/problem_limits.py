"""What a choice takes of every card and host, and which hard limits it breaks: `problem`'s rules as a check."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from labctl.place.problem import Card, Choice, Host, Option, Problem, Workload, may_share, overlap


@dataclass(frozen=True)
class TimeShareSet:
    """Jobs that displace common workloads. states: who is resident together, one after another."""

    members: tuple[str, ...]
    states: tuple[frozenset[str], ...]


def time_share_sets(workloads: Iterable[Workload]) -> tuple[TimeShareSet, ...]:
    """Sorted by name."""
    jobs = sorted((each for each in workloads if each.displaces), key=lambda job: job.name)
    groups: list[list[Workload]] = []
    for job in jobs:
        common = [
            group for group in groups if any(set(each.displaces) & set(job.displaces) for each in group)
        ]
        groups = [group for group in groups if group not in common]
        groups.append([*(each for group in common for each in group), job])
    return tuple(_set(group) for group in groups)


def _set(jobs: list[Workload]) -> TimeShareSet:
    displaced = {name for job in jobs for name in job.displaces}
    states = [frozenset(displaced)]
    for size in range(1, len(jobs) + 1):
        for group in combinations(jobs, size):
            if all(overlap(one, other) for one, other in combinations(group, 2)):
                resident = displaced - {name for job in group for name in job.displaces}
                states.append(frozenset(resident | {job.name for job in group}))
    return TimeShareSet(tuple(sorted(displaced | {job.name for job in jobs})), tuple(states))


class Usage:
    """What the placed options take. claimed_mib: per card; ram_mib, watts, disk_mib: per host, of options only."""

    def __init__(self, problem: Problem, choice: Choice) -> None:
        self._problem = problem
        self._sets = time_share_sets(problem.workloads)
        self.placed = placed_options(problem, choice)
        unified = {card.id for card in problem.cards if card.unified}
        self.claimed_mib = {
            card.id: self._most({name: each.claims_mib.get(card.id, 0) for name, each in self.placed.items()})
            for card in problem.cards
        }
        self.ram_mib, self.watts, self.disk_mib = {}, {}, {}
        for host in problem.hosts:
            here = {name: each for name, each in self.placed.items() if each.host == host.name}
            self.ram_mib[host.name] = self._most(
                {name: _ram_mib(each, unified) for name, each in here.items()}
            )
            self.watts[host.name] = self._most({name: each.watts for name, each in here.items()})
            self.disk_mib[host.name] = sum(each.disk_mib for each in here.values())

    def _most(self, amounts: Mapping[str, int]) -> int:
        total = sum(amounts.values())
        for each in self._sets:
            total -= sum(amounts.get(name, 0) for name in each.members)
            total += max(sum(amounts.get(name, 0) for name in state) for state in each.states)
        return total

    def free_mib(self, card: Card) -> int:
        """Of one card; on unified memory at most what RAM has left."""
        free = card.usable_mib - self.claimed_mib[card.id]
        if card.unified:
            ram_mib = next(host.ram_mib for host in self._problem.hosts if host.name == card.host)
            free = min(free, (ram_mib or 0) - self.ram_mib[card.host])
        return free

    def on(self, card: str) -> list[str]:
        """Names of the workloads placed there."""
        return [name for name, option in self.placed.items() if card in option.claims_mib]


def _ram_mib(option: Option, unified: set[str]) -> int:
    return option.ram_mib + sum(claim for card, claim in option.claims_mib.items() if card in unified)


def placed_options(problem: Problem, choice: Choice) -> dict[str, Option]:
    """The chosen option of every placed workload, by name."""
    chosen = ((name, choice[name]) for name in sorted(choice))
    return {name: problem.options[index] for name, index in chosen if index is not None}


def violations(problem: Problem, choice: Choice) -> list[str]:
    """Every hard limit that the choice breaks, as a sentence each; none for a valid answer."""
    usage = Usage(problem, choice)
    return [
        *_resources(problem, usage),
        *_sharing(problem, usage),
        *_hosts(problem, usage),
    ]


def _resources(problem: Problem, usage: Usage) -> Iterator[str]:
    for name, option in usage.placed.items():
        if option.workload != name:
            yield f"{name} has an option of {option.workload}"
    for card in problem.cards:
        claimed = usage.claimed_mib[card.id]
        if claimed > card.usable_mib:
            yield f"{card.id}: {claimed} of {card.usable_mib} MiB claimed"
    for host in problem.hosts:
        here = [each for each in usage.placed.values() if each.host == host.name]
        for what, taken, most in (
            ("RAM", usage.ram_mib[host.name], host.ram_mib),
            ("disk", usage.disk_mib[host.name], host.disk_mib),
        ):
            if most is not None and taken > most:
                yield f"{host.name}: {taken} of {most} MiB of {what} taken"
        watts = usage.watts[host.name]
        if any(adds_power(each) for each in here) and over_psu(host, watts):
            yield f"{host.name}: {host.watts + watts} W of {host.psu_watts} W"
        ports = sorted([*host.taken_ports, *(port for each in here for port in each.ports)])
        yield from (f"{host.name}: port {a} twice" for a, b in zip(ports, ports[1:], strict=False) if a == b)


def _sharing(problem: Problem, usage: Usage) -> Iterator[str]:
    workloads = {each.name: each for each in problem.workloads}
    for card in problem.cards:
        here = [workloads[name] for name in usage.on(card.id)]
        for one, other in combinations(here, 2):
            if not may_share(one, other):
                yield f"{card.id}: {one.name} beside {other.name}"
        if card.foreign_process:
            yield from (f"{card.id}: {each.name} beside a foreign process" for each in here if each.exclusive)


def _hosts(problem: Problem, usage: Usage) -> Iterator[str]:
    for each in time_share_sets(problem.workloads):
        hosts = {usage.placed[name].host for name in each.members if name in usage.placed}
        if len(hosts) > 1:
            yield f"{', '.join(each.members)} share time on {len(hosts)} hosts"
    for workload in problem.workloads:
        kept = kept_host(problem, workload)
        if kept and workload.name in usage.placed and usage.placed[workload.name].host != kept:
            yield f"{workload.name} leaves its data on {kept}"


def adds_power(option: Option) -> bool:
    """Whether the PSU matters to it: it uses a card, or draws more than the host does anyway."""
    return bool(option.claims_mib) or option.watts > 0


def over_psu(host: Host, watts: int) -> bool:
    """Whether a host with options that add so many watts draws more than its PSU gives."""
    return host.psu_watts is not None and host.watts + watts > host.psu_watts


def kept_host(problem: Problem, workload: Workload) -> str | None:
    """The host that a stateful workload may not leave; None when it may go anywhere."""
    if not (workload.stateful and workload.incumbent):
        return None
    host = workload.incumbent.host
    here = any(each.workload == workload.name and each.host == host for each in problem.options)
    return host if here else None
