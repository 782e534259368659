"""Small plans by hand."""

from collections.abc import Mapping
from typing import Any

from labctl.plan.hardware import fingerprint
from labctl.plan.plan import (
    CardClaim,
    Plan,
    PlannedCard,
    PlannedHost,
    PlannedRig,
    PlannedTier,
    PlannedWorkload,
    Solved,
    Unplaced,
)

FIRST, SECOND, THIRD = (f"GPU-{each * 8}-0000-4000-8000-000000000000" for each in "abc")


def host(*cards: str, name: str = "aibox", memory_mib: int = 24123, ram_gib: int | None = 128) -> PlannedHost:
    return PlannedHost(name, tuple(PlannedCard(each, "rtx-3090", memory_mib) for each in cards), ram_gib)


def claims(**high_mib: int) -> tuple[CardClaim, ...]:
    """By `first` and `second`."""
    ids = {"first": FIRST, "second": SECOND, "third": THIRD}
    return tuple(
        CardClaim(ids[name], position, amount // 2, amount, amount)
        for position, (name, amount) in enumerate(high_mib.items())
    )


def runs(service: str = "llama.cpp", host: str = "aibox", **more: Any) -> PlannedWorkload:
    return PlannedWorkload(service, host, **more)


def plan(
    workloads: Mapping[str, PlannedWorkload],
    *hosts: PlannedHost,
    unplaced: Mapping[str, Unplaced] | None = None,
    bound: bool = True,
) -> Plan:
    there = hosts or (host(FIRST, SECOND),)
    rig = PlannedRig("home", fingerprint(there), bound, there)
    return Plan(
        rig, workloads, unplaced or {}, Solved(True, (PlannedTier((1,), (1,)), PlannedTier(None, None)))
    )
