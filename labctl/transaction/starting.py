"""Units brought up in the order of their dependencies, and watched until they are healthy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from labctl.transaction.decision import judge
from labctl.transaction.manifest import ManagedUnit
from labctl.transaction.programs import Programs
from labctl.transaction.report import Report
from labctl.transaction.services import Services

_POLL_SECONDS = 0.5
_STILL_SECONDS = 15.0
"""How often a person who watches is told that something is still waited for."""


@dataclass
class _Watched:
    unit: ManagedUnit
    started: float
    up_since: float | None = None
    said: float = 0.0


@dataclass
class BroughtUp:
    """failed: why, by unit."""

    healthy: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def bring_up(
    units: Sequence[ManagedUnit], services: Services, programs: Programs, report: Report, *, give_up: bool
) -> BroughtUp:
    """Start each of `units` when those it is after are healthy; return when all are, or will not be.

    give_up: return at the first that will not. Otherwise what is after it is started all the same.
    """
    result = BroughtUp()
    waiting = {unit.unit: unit for unit in units}
    watched: dict[str, _Watched] = {}
    while waiting or watched:
        ready = [
            unit
            for unit in waiting.values()
            if not any(each in waiting or each in watched for each in unit.after)
        ]
        if ready:
            _say(report, "start: ", ready)
            services.start([unit.unit for unit in ready])
            for unit in ready:
                watched[waiting.pop(unit.unit).unit] = _Watched(unit, programs.seconds())
        _look(watched, services, programs, report, result)
        if result.failed and give_up:
            return result
        if watched:
            programs.sleep(_POLL_SECONDS)
    return result


def _look(
    watched: dict[str, _Watched], services: Services, programs: Programs, report: Report, result: BroughtUp
) -> None:
    states = services.seen(list(watched))
    health = services.container_health(each.unit for name, each in watched.items() if states[name].is_up)
    now = programs.seconds()
    for name, each in list(watched.items()):
        if states[name].is_up and each.up_since is None:
            each.up_since = now
        elif not states[name].is_up:
            each.up_since = None
        up_seconds = None if each.up_since is None else now - each.up_since
        seconds = now - each.started
        match judge(each.unit, states[name], health.get(name), up_seconds, seconds):
            case "healthy":
                del watched[name]
                result.healthy.append(name)
                _say(report, "healthy: ", [each.unit], f" ({seconds:.0f} s)")
            case "waiting":
                if seconds - each.said >= _STILL_SECONDS:
                    each.said = seconds
                    report.line(
                        f"wait: {each.unit.name}, {seconds:.0f} of {each.unit.start_timeout_seconds} s"
                    )
            case reason:
                del watched[name]
                result.failed[name] = reason
                report.line(f"failed: {each.unit.name}: {reason}")


def _say(report: Report, before: str, units: Sequence[ManagedUnit], after: str = "") -> None:
    """Of networks and volumes nothing: they bear a workload's name, and who reads it waits for its service."""
    names = [unit.name for unit in units if unit.kind == "service"]
    if names:
        report.line(f"{before}{', '.join(names)}{after}")
