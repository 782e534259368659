"""One host against the generation in force on it: every workload, its memory, and all that is not as planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.apply.generation import Generation
from labctl.apply.survey import Seen as Surveyed
from labctl.plan.hardware_diff import HardwareChange
from labctl.plan.live import Seen, UnitFinding, against_live, card_names, held_mib, is_read, unit_of
from labctl.plan.plan import Plan, PlannedPort, PlannedWorkload
from labctl.render import names
from labctl.rig.live import LiveHost
from labctl.status.question import Asked, Now
from labctl.status.states import WorkloadState, displacers, is_begun, workload_state
from labctl.transaction.decision import FileSeen, compare
from labctl.transaction.manifest import ManagedUnit

# Engines that tell their speed at a port of theirs.
_TELLS_SPEED = ("llama.cpp", "vllm")


@dataclass(frozen=True)
class CardUse:
    """What a workload holds of one card, and what was estimated. held_mib: None where the driver does not tell."""

    card: str
    low_mib: int
    expected_mib: int
    claim_mib: int
    held_mib: int | None


@dataclass(frozen=True)
class WorkloadStatus:
    """One workload that is in force. seconds: since it is as it is; None where nobody knows.

    silent_cards: those of its cards that do not answer while the driver does, without which it cannot start.
    """

    name: str
    planned: PlannedWorkload
    now: WorkloadState
    seconds: int | None
    cards: tuple[CardUse, ...]
    tokens_per_second: float | None
    silent_cards: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[PlannedPort, ...]:
        """On the host's loopback address."""
        return self.planned.ports


@dataclass(frozen=True)
class Drift:
    """What is not as the last apply left it. edited, missing: files of ours; foreign: files among them of nobody's."""

    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    hardware: tuple[HardwareChange, ...] = ()
    units: tuple[UnitFinding, ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether there is none."""
        return not (self.edited or self.missing or self.foreign or self.hardware or self.units)


@dataclass(frozen=True)
class HostStatus:
    """One host. generation: the number in force, None where nothing was ever put in place.

    problem: why the host could not be asked; all else is empty then. open, running: a transaction that did not end, and
    who runs it. last: how the last one ended. cards_problem: why the driver does not answer, where cards are planned.
    """

    name: str
    problem: str | None = None
    generation: int | None = None
    applied_at: str | None = None
    plan: Plan | None = None
    workloads: tuple[WorkloadStatus, ...] = ()
    drift: Drift = Drift()
    open: str | None = None
    running: str | None = None
    last: Mapping[str, Any] | None = None
    cards_problem: str | None = None

    @property
    def as_planned(self) -> bool:
        """Whether nothing differs."""
        return (
            all(each.now.as_planned for each in self.workloads)
            and self.drift.is_none
            and not (self.open or self.cards_problem)
        )


def containers(generation: Generation, plan: Plan) -> dict[str, tuple[ManagedUnit, ...]]:
    """The units of each workload's containers, by its name, the first one first."""
    found: dict[str, list[ManagedUnit]] = {}
    for unit in generation.manifest.units:
        if unit.container is not None and (name := generation.workload(unit)) in plan.workloads:
            found.setdefault(name, []).append(unit)
    return {
        name: tuple(sorted(units, key=lambda unit: (unit.container != names.stem(name), unit.unit)))
        for name, units in sorted(found.items())
    }


def asked(generation: Generation, plan: Plan) -> Asked:
    """What the host is asked next."""
    of_workloads = containers(generation, plan)
    every = [unit for units in of_workloads.values() for unit in units]
    metrics = {
        name: (units[0].unit, plan.workloads[name].ports[0].host)
        for name, units in of_workloads.items()
        if plan.workloads[name].service in _TELLS_SPEED and plan.workloads[name].ports
    }
    return Asked(
        units=tuple(unit.unit for unit in generation.manifest.units),
        containers=tuple(str(unit.container) for unit in every),
        metrics=metrics,
    )


def host_status(seen: Surveyed, plan: Plan, now: Now, live: LiveHost) -> HostStatus:
    """Of a host that has a generation in force."""
    generation = seen.generation
    assert generation is not None, live.host.name
    about = seen.status or {}
    number = about.get("current")
    ours = {name: planned for name, planned in plan.workloads.items() if planned.host == live.host.name}
    wants_cards = any(planned.cards for planned in ours.values())
    workloads = tuple(_workloads(generation, plan, now, live))
    return HostStatus(
        name=live.host.name,
        generation=number,
        applied_at=next(
            (str(each["created_at"]) for each in about.get("generations", ()) if each["number"] == number),
            None,
        ),
        plan=plan,
        workloads=workloads,
        drift=_drift(generation, seen.installed, plan, live, workloads),
        open=about.get("open"),
        running=about.get("running"),
        last=about.get("last"),
        cards_problem=live.problems[0] if live.problems and wants_cards else None,
    )


def _workloads(generation: Generation, plan: Plan, now: Now, live: LiveHost) -> Iterator[WorkloadStatus]:
    of_workloads = containers(generation, plan)
    running = [
        name
        for name, units in of_workloads.items()
        if (unit := now.units.get(units[0].unit)) and is_begun(unit)
    ]
    aside = displacers(plan.workloads, running)
    called = card_names(plan, (live,))
    held = held_mib(live, called)
    for name, units in of_workloads.items():
        planned = plan.workloads[name]
        state = workload_state(planned, units, now, aside.get(name))
        yield WorkloadStatus(
            name,
            planned,
            state,
            None if state.since is None else max(0, now.at - state.since),
            tuple(
                CardUse(
                    claim.card,
                    claim.low_mib,
                    claim.expected_mib,
                    claim.high_mib,
                    held.get((unit_of(name), claim.card), 0) if claim.card in called.values() else None,
                )
                for claim in planned.cards
            ),
            now.tokens_per_second.get(name),
            tuple(card for card in planned.card_ids if is_read(live) and card not in called.values()),
        )


def _drift(
    generation: Generation,
    installed: Mapping[str, FileSeen],
    plan: Plan,
    live: LiveHost,
    workloads: tuple[WorkloadStatus, ...],
) -> Drift:
    change = compare(generation.manifest, generation.manifest, installed)
    found = against_live(plan, Seen((live,), everything=False, running=True)) if is_read(live) else None
    # What does not run holds nothing: that it does not run is said already.
    runs = {unit_of(each.name) for each in workloads if each.now.state == "running"}
    return Drift(
        edited=tuple(path for path in change.edited if path in installed),
        missing=tuple(path for path in change.edited if path not in installed),
        foreign=change.foreign,
        hardware=found.hardware if found else (),
        units=tuple(each for each in found.units if each.kind != "silent" or each.unit in runs)
        if found
        else (),
    )
