"""Why a workload was not placed: every card with what it would need, what is free there, and what stands against it."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.place.problem import Card, Choice, Option, Problem, Reason, Solution, Workload, may_share
from labctl.place.problem_limits import Usage, adds_power, kept_host, over_psu, time_share_sets


@dataclass(frozen=True)
class Refusal:
    """One card, or one host (card None) where the workload needs none.

    needs_mib: claim on that card of the option that asks least of it; where it has no options there, of the one that
    asks least anywhere; None without options. free_mib: under the returned plan; of a host None.
    reason: of that option. On an otherwise empty rig: `too_small` (card), `too_few_on_host` (another card of the same
    option), `exclusive` (a foreign process), `ram`, `disk`, `port`, `psu`, `pinned_elsewhere` (its data is on another
    host, or it has no options here and the problem does not say why). If it would fit there: `fits_alone_but_outranked`
    where the card holds a workload of a higher priority, else `full`; `exclusive` where it and another may not share
    the card; `pinned_elsewhere` where those that it shares time with are on another host; and again the others.
    `barred` of the problem comes before all of these. Without any card, `too_few_on_host` of each host.
    """

    card: str | None
    host: str
    needs_mib: int | None
    free_mib: int | None
    reason: Reason


@dataclass(frozen=True)
class Refused:
    """A workload that was not placed."""

    workload: str
    refusals: tuple[Refusal, ...]


def explain(problem: Problem, solution: Solution) -> tuple[Refused, ...]:
    """Every workload that was not placed, by name, with every card in the order of the problem."""
    usage = Usage(problem, solution.choice)
    options: dict[str, list[Option]] = {each.name: [] for each in problem.workloads}
    for option in problem.options:
        options[option.workload].append(option)
    return tuple(
        Refused(
            workload.name, tuple(_refusals(problem, solution.choice, usage, workload, options[workload.name]))
        )
        for workload in sorted(problem.workloads, key=lambda each: each.name)
        if workload.name not in usage.placed
    )


def _refusals(
    problem: Problem, choice: Choice, usage: Usage, workload: Workload, options: list[Option]
) -> Iterator[Refusal]:
    asking = _Asking(problem, choice, workload)
    least = min((max(each.claims_mib.values()) for each in options if each.claims_mib), default=None)
    if not options or least is not None:
        for card in problem.cards:
            here = [each for each in options if card.id in each.claims_mib]
            needs = min((each.claims_mib[card.id] for each in here), default=least)
            free = usage.free_mib(card)
            reason = workload.barred.get(card.id) or asking.reason(card, here)
            if reason is None:
                small = needs is not None and needs > card.usable_mib
                reason = "too_small" if small else "pinned_elsewhere"
            yield Refusal(card.id, card.host, needs, free, reason)
    if not problem.cards and not options:
        yield from (Refusal(None, host.name, None, None, "too_few_on_host") for host in problem.hosts)
    if any(not each.claims_mib for each in options):
        for host in problem.hosts:
            here = [each for each in options if each.host == host.name and not each.claims_mib]
            yield Refusal(None, host.name, None, None, asking.reason(None, here) or "pinned_elsewhere")


class _Asking:
    """Asks for one workload what stands against its options."""

    def __init__(self, problem: Problem, choice: Choice, workload: Workload) -> None:
        self._problem = problem
        self._choice: dict[str, int] = {name: index for name, index in choice.items() if index is not None}
        self._workload = workload
        self._workloads = {each.name: each for each in problem.workloads}
        self._hosts = {each.name: each for each in problem.hosts}
        self._cards = {each.id: each for each in problem.cards}
        self._kept = kept_host(problem, workload)
        self._index = {id(option): index for index, option in enumerate(problem.options)}
        self._partners = [
            each for each in time_share_sets(problem.workloads) if workload.name in each.members
        ]

    def reason(self, card: Card | None, options: list[Option]) -> Reason | None:
        """Of the option that asks least, those first that would fit an empty rig. None: no options."""
        alone = []
        for option in sorted(options, key=lambda each: _demand(each, card)):
            against = self._against({}, option, card)
            if against is None:
                return self._against(self._choice, option, card) or self._outranked(option)
            alone.append(against)
        return alone[0] if alone else None

    def _against(self, choice: dict[str, int], option: Option, card: Card | None) -> Reason | None:
        """What stands against an option beside a choice; None when it fits."""
        usage = Usage(self._problem, {**choice, self._workload.name: self._index[id(option)]})
        over = {each for each in option.claims_mib if usage.claimed_mib[each] > self._cards[each].usable_mib}
        if card and card.id in over:
            return self._outranked(option, card) if choice else "too_small"
        if over:
            return "too_few_on_host"
        if self._foreign(option) or self._clashes(usage, option):
            return "exclusive"
        if self._elsewhere(usage, option):
            return "pinned_elsewhere"
        return self._host(usage, option)

    def _foreign(self, option: Option) -> bool:
        return self._workload.exclusive and any(
            self._cards[each].foreign_process for each in option.claims_mib
        )

    def _clashes(self, usage: Usage, option: Option) -> bool:
        others = {name for card in option.claims_mib for name in usage.on(card)} - {self._workload.name}
        return any(not may_share(self._workload, self._workloads[name]) for name in others)

    def _elsewhere(self, usage: Usage, option: Option) -> bool:
        if self._kept not in (None, option.host):
            return True
        partners = {name for each in self._partners for name in each.members}
        return any(name in partners and each.host != option.host for name, each in usage.placed.items())

    def _host(self, usage: Usage, option: Option) -> Reason | None:
        host = self._hosts[option.host]
        others = [each for each in usage.placed.values() if each is not option and each.host == host.name]
        taken = {*host.taken_ports, *(port for each in others for port in each.ports)}
        if host.ram_mib is not None and usage.ram_mib[host.name] > host.ram_mib:
            return "ram"
        if host.disk_mib is not None and usage.disk_mib[host.name] > host.disk_mib:
            return "disk"
        if taken & set(option.ports):
            return "port"
        if adds_power(option) and over_psu(host, usage.watts[host.name]):
            return "psu"
        return None

    def _outranked(self, option: Option, card: Card | None = None) -> Reason:
        cards = {card.id} if card else set(option.claims_mib)
        placed = (self._problem.options[index] for index in self._choice.values())
        holders = [self._workloads[each.workload] for each in placed if cards & set(each.claims_mib)]
        higher = any(each.priority > self._workload.priority for each in holders)
        return "fits_alone_but_outranked" if higher else "full"


def _demand(option: Option, card: Card | None) -> tuple[int, int, int, int]:
    claim = option.claims_mib[card.id] if card else 0
    return claim, len(option.claims_mib), option.ram_mib, option.rank
