"""Looks at every host of a plan, says what would change there, asks, and lets the hosts do it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labctl.cli.applied import HostRun, Manner, carry_out
from labctl.cli.plan_words import Cards
from labctl.edges.applying import HostApply
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_shells import host_shells, opened
from labctl.edges.machines import split
from labctl.edges.models_folders import models_folders
from labctl.edges.plan_file import read_bound_plan
from labctl.edges.workloads_file import read_workloads
from labctl.errors import BadInput, LabctlError
from labctl.plan.plan import Plan
from labctl.render.host import MODELS
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
    workloads = read_workloads(asked.workloads) if asked.workloads else ()
    with host_shells(asked.inventory) as shells:
        runs, notes = _looked(plan, shells, workloads, asked)
        manner = Manner("apply", "Do this?", yes=asked.yes, as_json=asked.as_json)
        return carry_out(runs, manner, Cards(plan.places).told, notes)


def _looked(
    plan: Plan, shells: Mapping[str, HeldShell | LabctlError], workloads: Sequence[Workload], asked: Asked
) -> tuple[list[HostRun], list[str]]:
    runs, notes, met = [], [], set()
    planned = [host.name for host in plan.rig.hosts]
    placed = {workload.host for workload in plan.workloads.values()}
    folders = models_folders(asked.inventory)
    for name, shell in shells.items():
        if name not in planned and not name.startswith("@"):
            notes.append(f"{name} is not in this plan: left alone")
            continue
        if isinstance(shell, LabctlError) and name in planned and name not in placed:
            notes.append(f"{name} does not answer, and nothing is placed there: left alone")
            continue
        apply = HostApply(name, opened(shell), folders.get(name, MODELS))
        seen = apply.look()
        # `@local` goes by its own name.
        known = seen.name if name.startswith("@") else name
        if known not in planned:
            notes.append(f"{known} is not in this plan: left alone")
            continue
        met.add(known)
        if known in placed or seen.generation is not None:
            runs.append(HostRun(known, apply, apply.to_plan(plan, known, seen, workloads)))
    _refuse_unmet(placed - met, asked, met, shells)
    return runs, notes


def _refuse_unmet(
    unmet: set[str], asked: Asked, met: Iterable[str], shells: Mapping[str, HeldShell | LabctlError]
) -> None:
    """Raise BadInput for hosts of the plan that the inventory lacks; one that was named alone is meant alone."""
    if not unmet or split(asked.inventory)[1] in {*met}:
        return
    raise BadInput(
        "the inventory lacks a host of the plan",
        where=asked.inventory,
        found=", ".join(shells),
        expected=", ".join(sorted(unmet)),
        hint="name the inventory that has it: --inventory FILE",
    )
