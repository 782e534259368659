"""What systemd and Podman say of a workload's units, in the words that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from labctl.plan.plan import PlannedWorkload
from labctl.render import names
from labctl.render.window import minutes
from labctl.status.question import Now, UnitNow
from labctl.transaction.manifest import ManagedUnit

# waits: for its time, or for somebody to start it. aside: for a job that took its cards.
State = Literal["running", "starting", "failed", "stopped", "not there", "waits", "aside"]
_WORST_FIRST: tuple[State, ...] = ("not there", "failed", "stopped", "starting", "running")
_TO_BE_STARTED = ("inactive", "deactivating")
_GONE = UnitNow("not-found")
_LACKS = "a file that it needs was not there at its time"
# Beside what stopping takes; twice that, for Podman is given the same time again to remove the container.
_STOP_MARGIN_SECONDS = 120


@dataclass(frozen=True)
class UnitState:
    """One container's unit. health: of its container, None without a health check. detail: a clause, "" for none."""

    unit: str
    name: str
    state: State
    health: str | None
    detail: str
    changed_at: int | None
    restarts: int

    @property
    def is_well(self) -> bool:
        """It runs, and nobody knows otherwise."""
        return self.state == "running" and self.health in (None, "healthy")


def unit_state(unit: ManagedUnit, now: Now, window_minutes: int | None = None) -> UnitState:
    """One unit. window_minutes: how long it may run each day; None for one without a time of its own."""
    seen = now.units.get(unit.unit, _GONE)
    state, detail = _state(seen)
    if state == "failed" and window_minutes is not None and seen.result == "timeout":
        if seen.kind == "oneshot":
            detail = "its window ended before it was done"
        elif _has_run(unit, seen, window_minutes * 60):
            state, detail = "stopped", ""
    health = now.health(unit.container) if seen.active in ("active", "activating", "reloading") else None
    since = seen.active_since if state == "running" and seen.active == "active" else seen.changed_at
    return UnitState(unit.unit, unit.name, state, health, detail, since, seen.restarts)


def _state(seen: UnitNow) -> tuple[State, str]:
    if seen.load not in ("loaded", "merged"):
        return "not there", f"systemd: {seen.load}"
    match seen.active:
        case "active" | "reloading":
            return "running", ""
        case "activating" if seen.sub.startswith("auto-restart"):
            return "failed", f"{seen.result}, tried again {_times(seen.restarts)}"
        case "activating" if seen.kind == "oneshot":
            return "running", ""  # a job: all of it counts as starting
        case "activating":
            return "starting", f"again, for the {seen.restarts}. time" if seen.restarts else ""
        case "failed":
            return "failed", seen.result
        case "deactivating":
            return "stopped", "still stopping"
    return ("starting", "waits for its turn") if seen.queued else ("stopped", "")


def _has_run(unit: ManagedUnit, seen: UnitNow, window_seconds: int) -> bool:
    """Whether it ran for the whole of its window: systemd ends that by calling it failed, as a start that hung.

    Of a start that hung today, what is known is when it ran the last time.
    """
    if seen.changed_at is None or seen.active_since is None:
        return False
    beyond = seen.changed_at - seen.active_since - window_seconds
    return -1 <= beyond <= 2 * unit.stop_timeout_seconds + _STOP_MARGIN_SECONDS


@dataclass(frozen=True)
class WorkloadState:
    """All units of a workload as one. since: of its first unit's state, seconds since 1970; None where nobody knows."""

    state: State
    health: str | None
    detail: str
    since: int | None
    units: tuple[UnitState, ...]

    @property
    def as_planned(self) -> bool:
        """Whether it is as it should be at this moment."""
        return self.state in ("waits", "aside") or (
            self.state == "running" and self.health in (None, "healthy")
        )


def workload_state(
    planned: PlannedWorkload, units: Iterable[ManagedUnit], now: Now, displaced_by: str | None
) -> WorkloadState:
    """units: of its containers, the first one first. displaced_by: a job that runs and has taken its cards."""
    managed = list(units)
    found = tuple(unit_state(each, now, minutes(planned.when)) for each in managed)
    first = found[0]
    by_hand = not managed[0].start
    if first.state == "stopped" and displaced_by:
        return WorkloadState("aside", None, f"for {displaced_by}, and comes back", first.changed_at, found)
    if first.state == "stopped" and by_hand and all(each.state in ("stopped", "running") for each in found):
        if (look := _looked_in_vain(first, now)) is not None:
            return WorkloadState("failed", None, _LACKS, look, found)
        what = f"for {planned.when.partition('-')[0]}" if planned.when else "until somebody starts it"
        return WorkloadState("waits", None, what, first.changed_at, found)
    worst = min(found, key=lambda each: (_WORST_FIRST.index(each.state), each is not first))
    ill = next((each for each in found if each.health not in (None, "healthy")), None)
    detail = _named(worst, first) if worst.detail or worst is not first else ""
    if not detail and worst.state == "running" and ill and ill is not first:
        detail = f"{ill.name} is {ill.health}"
    return WorkloadState(worst.state, ill.health if ill else first.health, detail, worst.changed_at, found)


def _looked_in_vain(first: UnitState, now: Now) -> int | None:
    """When its files were looked for at its time and were not there; None where it has run since."""
    look = now.units.get(names.look(first.name), _GONE)
    since = look.changed_at or 0
    return since if look.active == "failed" and since >= (first.changed_at or 0) else None


def _named(unit: UnitState, first: UnitState) -> str:
    if unit is first:
        return unit.detail
    return f"{unit.name}: {unit.detail}" if unit.detail else unit.name


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def displacers(workloads: Mapping[str, PlannedWorkload], running: Iterable[str]) -> dict[str, str]:
    """Who has taken whose cards: jobs that run, by the workload that stepped aside."""
    return {aside: job for job in sorted(running) for aside in workloads[job].displaces}


def is_begun(seen: UnitNow) -> bool:
    """Whether it runs or is about to."""
    return seen.queued or seen.active not in (*_TO_BE_STARTED, "failed")
