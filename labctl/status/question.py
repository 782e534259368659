"""What a host is asked of the services in force, as one shell script, and its answer as values."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.errors import Failed
from labctl.rig import host_report
from labctl.rig.host_report import sections
from labctl.status.tokens import tokens_per_second

_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "Job", "Type"),
    *("StateChangeTimestamp", "ActiveEnterTimestamp", "InvocationID"),
)
_SECTION = r"""section() { printf '\n@@labctl %s\n' "$1"; }"""
_METRICS = "metrics-"
# Answers come from loopback; one that takes longer is busy with something else.
_METRICS_SECONDS = 3


@dataclass(frozen=True)
class Asked:
    """What is asked about. metrics: the unit and the host's port of each workload whose engine tells its speed."""

    units: tuple[str, ...]
    containers: tuple[str, ...] = ()
    metrics: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitNow:
    """A unit as systemd shows it. load: LoadState, active: ActiveState, sub: SubState, kind: Type.

    changed_at, active_since: seconds since 1970, None where it never was. restarts: how often systemd began it anew.
    invocation: another one each time it is begun; "" where it never was.
    """

    load: str
    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    restarts: int = 0
    queued: bool = False
    kind: str = ""
    changed_at: int | None = None
    active_since: int | None = None
    invocation: str = ""


@dataclass(frozen=True)
class Now:
    """A host's answer. at: its clock, seconds since 1970. containers: what Podman says of each, by name.

    tokens_per_second: by workload, where its engine tells. cards: the output that `labctl.edges.machines.read` takes.
    """

    at: int
    units: Mapping[str, UnitNow]
    containers: Mapping[str, Mapping[str, Any]]
    tokens_per_second: Mapping[str, float]
    cards: str

    def health(self, container: str | None) -> str | None:
        """healthy, starting or unhealthy; None without a health check, or without the container."""
        state = self.containers.get(container or "", {}).get("State") or {}
        return str((state.get("Health") or state.get("Healthcheck") or {}).get("Status") or "") or None


def script(asked: Asked, *, cards: bool = True) -> str:
    """Run as root. cards: whether the driver and the machine are asked as well."""
    parts = [host_report.SCRIPT if cards else _SECTION, "section now; date +%s"]
    if asked.units:
        shown = shlex.join(asked.units)
        parts.append(
            f"section unit-states; systemctl show --timestamp=unix --property {','.join(_PROPERTIES)} -- {shown}"
        )
    if asked.containers:
        parts.append(
            f"section inspected; podman container inspect -- {shlex.join(asked.containers)} 2>/dev/null"
        )
    for name, (unit, port) in sorted(asked.metrics.items()):
        parts.append(
            f"section {_METRICS}{name}; if systemctl -q is-active {shlex.quote(unit)}; then "
            f"curl -fsS --max-time {_METRICS_SECONDS} http://127.0.0.1:{port}/metrics 2>/dev/null; fi"
        )
    return "\n".join((*parts, "section answered", ""))


def parse(output: str) -> Now:
    """Read what `script` printed. Raises Failed when it ends early."""
    found = sections(output)
    if "answered" not in found or not found["now"].strip().isdigit():
        raise Failed(
            "the host did not say what runs on it", found=repr(output[-80:]), hint="run the same again"
        )
    speeds = {
        name.removeprefix(_METRICS): tokens_per_second(text)
        for name, text in found.items()
        if name.startswith(_METRICS)
    }
    return Now(
        at=int(found["now"]),
        units=dict(_units(found.get("unit-states", ""))),
        containers=inspected(found.get("inspected", "")),
        tokens_per_second={name: speed for name, speed in speeds.items() if speed is not None},
        cards=output,
    )


def inspected(text: str) -> dict[str, Mapping[str, Any]]:
    """What `podman container inspect` prints, by the container's name; nothing for what is not there."""
    try:
        found = json.loads(text) if text.strip() else []
    except ValueError:
        found = []
    return {str(each["Name"]): each for each in found}


def _units(text: str) -> Iterator[tuple[str, UnitNow]]:
    for block in re.split(r"\n\s*\n", text.strip()):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" not in values:
            continue
        yield (
            values["Id"],
            UnitNow(
                load=values.get("LoadState", "not-found"),
                active=values.get("ActiveState", "inactive"),
                sub=values.get("SubState", "dead"),
                result=values.get("Result", "success"),
                restarts=int(values.get("NRestarts") or 0),
                queued=values.get("Job", "0") not in ("", "0"),
                kind=values.get("Type", ""),
                changed_at=_seconds(values.get("StateChangeTimestamp")),
                active_since=_seconds(values.get("ActiveEnterTimestamp")),
                invocation=values.get("InvocationID", ""),
            ),
        )


def _seconds(stamp: str | None) -> int | None:
    """`@1763740800`, as --timestamp=unix has it."""
    digits = (stamp or "").removeprefix("@")
    return int(digits) if digits.isdigit() else None
