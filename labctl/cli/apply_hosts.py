"""The hosts of a plan, once they have been asked: what would change on each, and the run itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from labctl.cli.applied import HostRun, Manner, carry_out
from labctl.cli.plan_words import Cards
from labctl.edges.applying import HostApply
from labctl.edges.host_shells import opened
from labctl.edges.inventory_argument import split
from labctl.edges.models_folders import models_folders
from labctl.edges.plan_file import bound_plan
from labctl.errors import BadInput
from labctl.render.host import MODELS

if TYPE_CHECKING:
    from labctl.apply.survey import Seen
    from labctl.cli.apply_answer import Asked
    from labctl.edges.held_shell import HeldShell
    from labctl.errors import LabctlError
    from labctl.workloads.workload import Workload


def apply_to(
    content: bytes,
    shells: Mapping[str, HeldShell | LabctlError],
    looks: Mapping[str, Callable[[], Seen]],
    notes: Sequence[str],
    asked: Asked,
) -> int:
    """Show, ask, do; returns the exit code. content: of the plan's file. looks: what waits for each host's.

    Raises BadInput, AnswerIsNo and Failed for what keeps it from being shown.
    """
    plan = bound_plan(content, asked.plan)
    workloads = _workloads(asked.workloads) if asked.workloads else ()
    runs: list[HostRun] = []
    folders = models_folders(asked.inventory)
    said, met = list(notes), set()
    planned = [host.name for host in plan.rig.hosts]
    placed = {workload.host for workload in plan.workloads.values()}
    for name, look in looks.items():
        apply = HostApply(name, opened(shells[name]), folders.get(name, MODELS))
        seen = look()
        # `@local` goes by its own name.
        known = seen.name if name.startswith("@") else name
        if known not in planned:
            said.append(f"{known} is not in this plan: left alone")
            continue
        met.add(known)
        if known in placed or seen.generation is not None:
            runs.append(HostRun(known, apply, apply.to_plan(plan, known, seen, workloads)))
    _refuse_unmet(placed - met, asked, met, shells)
    manner = Manner("apply", "Do this?", yes=asked.yes, as_json=asked.as_json)
    return carry_out(runs, manner, Cards(plan.places).told, said)


def _workloads(path: str) -> tuple[Workload, ...]:
    from labctl.edges.workloads_file import read_workloads

    return tuple(read_workloads(path))


def _refuse_unmet(unmet: set[str], asked: Asked, met: Iterable[str], shells: Iterable[str]) -> None:
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
