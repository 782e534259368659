"""Has every host of a plan look at itself, says what would change there, asks, and lets the hosts do it.

Most of what that takes is imported, and most of what people wrote is read, while the hosts look: each takes about as
long as the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labctl.edges.host_shells import host_shells, opened
from labctl.edges.looking import begin_look
from labctl.edges.plan_content import HostsNamed, hosts_named, plan_content
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from labctl.apply.survey import Seen
    from labctl.edges.held_shell import HeldShell


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl apply`, as it was written."""

    plan: str
    inventory: str
    workloads: str | None
    yes: bool
    as_json: bool


def answer(asked: Asked) -> int:
    """Do it; returns the exit code. Raises BadInput, AnswerIsNo and Failed for what keeps it from being shown."""
    content = plan_content(asked.plan)
    named = hosts_named(content) or _of_plan(content, asked.plan)
    with host_shells(asked.inventory, settings_later=True) as shells:
        looks, notes = _looking(named, shells)
        from labctl.cli.apply_hosts import apply_to

        return apply_to(content, shells, looks, notes, asked)


def _of_plan(content: bytes, path: str) -> HostsNamed:
    """Of one that does not look like a plan: mostly this says why."""
    from labctl.edges.plan_file import bound_plan

    plan = bound_plan(content, path)
    return HostsNamed(
        tuple(host.name for host in plan.rig.hosts),
        frozenset(workload.host for workload in plan.workloads.values()),
    )


def _looking(
    named: HostsNamed, shells: Mapping[str, HeldShell | LabctlError]
) -> tuple[dict[str, Callable[[], Seen]], list[str]]:
    """By host that the plan may concern, what waits for its look; and what is said of the others."""
    looks, notes = {}, []
    for name, shell in shells.items():
        if name not in named.planned and not name.startswith("@"):
            notes.append(f"{name} is not in this plan: left alone")
        elif isinstance(shell, LabctlError) and name in named.planned and name not in named.placed:
            notes.append(f"{name} does not answer, and nothing is placed there: left alone")
        else:
            looks[name] = begin_look(opened(shell))
    return looks, notes
