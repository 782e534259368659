"""A plan against machines as they are now: their hardware, and what our own units hold of which card."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from labctl.plan.hardware import hardware_of_host
from labctl.plan.hardware_diff import HardwareChange, hardware_changes
from labctl.plan.plan import Plan, PlannedHost, PlannedWorkload
from labctl.rig.live import LiveHost
from labctl.rig.our_names import OUR_PREFIX

_SERVICE = ".service"

# wrong_card: it holds memory where it has no claim. silent: it holds none where it has one. above_claim: more than
# that. unplanned: a unit of ours that the plan does not place.
Kind = Literal["wrong_card", "silent", "above_claim", "unplanned"]


@dataclass(frozen=True)
class UnitFinding:
    """One unit on one card that is not as planned. held_mib: None where the driver does not tell."""

    kind: Kind
    unit: str
    host: str
    card: str
    held_mib: int | None
    claim_mib: int | None
    planned_cards: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveDiff:
    """Everything that is not as planned.

    unseen: placed workloads that nobody could see here, as they use no card or their host was not looked at.
    not_looked_at: hosts of the plan, also those that did not answer. places: of the cards that are there, under the
    plan's names, as `Plan.places`.
    """

    hardware: tuple[HardwareChange, ...]
    units: tuple[UnitFinding, ...]
    unseen: tuple[str, ...]
    not_looked_at: tuple[str, ...]
    places: Mapping[str, tuple[str, int]]

    @property
    def same(self) -> bool:
        """Whether nothing differs of what could be seen."""
        return not (self.hardware or self.units)


@dataclass(frozen=True)
class Seen:
    """Machines that were looked at. everything: no host but these is meant. running: what runs there was seen, too."""

    hosts: tuple[LiveHost, ...]
    everything: bool
    running: bool


def against_live(plan: Plan, seen: Seen) -> LiveDiff:
    """What differs. A plan whose cards have no UUIDs is held against cards by host and place in PCI order."""
    now = {each.host.name: hardware_of_host(each.host) for each in seen.hosts if is_read(each)}
    unread = {each.host.name for each in seen.hosts if not is_read(each)}
    planned = {host.name: host for host in plan.rig.hosts}
    met = [name for name in planned if name in now]
    missed = set(planned) - set(now) if met and not seen.everything else unread
    left_out = tuple(name for name in planned if name in missed)
    names = card_names(plan, seen.hosts)
    return LiveDiff(
        hardware=hardware_changes(
            tuple(host for name, host in planned.items() if name not in left_out),
            tuple(_called(host, names) for host in now.values()),
        ),
        units=tuple(_units(plan, seen.hosts, names)) if seen.running else (),
        unseen=tuple(
            name
            for name, workload in sorted(plan.workloads.items())
            if not (seen.running and workload.cards) or workload.host in left_out
        ),
        not_looked_at=left_out,
        places={
            names[card.id]: (host.name, index)
            for host in now.values()
            for index, card in enumerate(host.cards)
        },
    )


def is_read(live: LiveHost) -> bool:
    """Whether anything is known of a machine: one that does not answer is neither as planned nor otherwise."""
    return bool(live.host.cards) or not live.problems


def card_names(plan: Plan, hosts: tuple[LiveHost, ...]) -> Mapping[str, str]:
    """What the plan calls each live card: by UUID, or by its place where the plan knows no UUIDs."""
    known = plan.places
    named = {}
    for each in hosts:
        for index, card in enumerate(sorted(each.host.cards, key=lambda card: card.index)):
            by_place = f"{each.host.name}/{index}"
            named[card.id] = card.id if card.id in known or by_place not in known else by_place
    return named


def _called(host: PlannedHost, names: Mapping[str, str]) -> PlannedHost:
    return replace(host, cards=tuple(replace(card, id=names[card.id]) for card in host.cards))


def _units(plan: Plan, hosts: tuple[LiveHost, ...], names: Mapping[str, str]) -> Iterator[UnitFinding]:
    for live in hosts:
        held = held_mib(live, names)
        for (unit, card), amount in sorted(held.items()):
            workload = _workload(plan, unit)
            if workload is None:
                yield UnitFinding("unplanned", unit, live.host.name, card, amount, None)
                continue
            claim = next((each.high_mib for each in workload.cards if each.card == card), None)
            if claim is None:
                yield UnitFinding("wrong_card", unit, live.host.name, card, amount, None, workload.card_ids)
            elif amount is not None and amount > claim and not workload.elastic:
                yield UnitFinding("above_claim", unit, live.host.name, card, amount, claim, workload.card_ids)
        yield from _silent(plan, live, held, set(names.values()))


def held_mib(live: LiveHost, names: Mapping[str, str]) -> dict[tuple[str, str], int | None]:
    """By unit and card; None where the driver does not tell of one of its processes. names: what cards are called."""
    held: dict[tuple[str, str], int | None] = {}
    for reading in live.readings:
        for process in reading.processes:
            if process.ours and process.unit:
                key = process.unit, names[reading.card.id]
                before = held.get(key, 0)
                told = before is not None and process.memory_mib is not None
                held[key] = (before or 0) + (process.memory_mib or 0) if told else None
    return held


def _workload(plan: Plan, unit: str) -> PlannedWorkload | None:
    return plan.workloads.get(unit.removeprefix(OUR_PREFIX).removesuffix(_SERVICE))


def unit_of(workload: str) -> str:
    """The unit that runs it."""
    return f"{OUR_PREFIX}{workload}{_SERVICE}"


def _silent(
    plan: Plan, live: LiveHost, held: Mapping[tuple[str, str], int | None], there: set[str]
) -> Iterator[UnitFinding]:
    """Units without memory on a card of theirs that is there.

    Not of jobs, which run at times, nor of what a job has displaced right now, nor of engines that load on demand.
    """
    running = {unit for unit, _ in held}
    for name, workload in sorted(plan.workloads.items()):
        if workload.host != live.host.name or workload.elastic or workload.when or workload.displaces:
            continue
        if any(name in job.displaces and unit_of(other) in running for other, job in plan.workloads.items()):
            continue
        for claim in workload.cards:
            if claim.high_mib and claim.card in there and (unit_of(name), claim.card) not in held:
                yield UnitFinding(
                    "silent", unit_of(name), live.host.name, claim.card, 0, claim.high_mib, workload.card_ids
                )
