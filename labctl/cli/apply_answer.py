"""Has every host of a plan look at itself, says what would change there, asks, and lets the hosts do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labctl.apply.survey import Seen
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_shells import host_shells, opened
from labctl.edges.looking import begin_look
from labctl.edges.plan_file import read_bound_plan
from labctl.errors import LabctlError
from labctl.plan.plan import Plan
from labctl.workloads.workload import Workload


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
    plan = read_bound_plan(asked.plan)
    workloads = _workloads(asked.workloads) if asked.workloads else ()
    with host_shells(asked.inventory) as shells:
        looks, notes = _looking(plan, shells)
        # What it imports is imported while the hosts look: that takes about as long.
        from labctl.cli.apply_hosts import apply_to

        return apply_to(plan, shells, looks, workloads, notes, asked)


def _workloads(path: str) -> tuple[Workload, ...]:
    from labctl.edges.workloads_file import read_workloads

    return tuple(read_workloads(path))


def _looking(
    plan: Plan, shells: Mapping[str, HeldShell | LabctlError]
) -> tuple[dict[str, Callable[[], Seen]], list[str]]:
    """By host that the plan may concern, what waits for its look; and what is said of the others."""
    looks, notes = {}, []
    planned = [host.name for host in plan.rig.hosts]
    placed = {workload.host for workload in plan.workloads.values()}
    for name, shell in shells.items():
        if name not in planned and not name.startswith("@"):
            notes.append(f"{name} is not in this plan: left alone")
        elif isinstance(shell, LabctlError) and name in planned and name not in placed:
            notes.append(f"{name} does not answer, and nothing is placed there: left alone")
        else:
            looks[name] = begin_look(opened(shell))
    return looks, notes
