"""The workloads of a plan as one pyinfra operation: what `labctl apply` does, for whoever runs pyinfra itself."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import cast

from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.api.state import State
from pyinfra.context import host, state

from labctl.apply.words import summary
from labctl.edges.applying import HostApply, Target
from labctl.edges.host_shells import shell_of
from labctl.edges.inventory_settings import models_folder
from labctl.edges.plan_file import read_bound_plan
from labctl.edges.pyinfra_roles import errors_as_pyinfras
from labctl.edges.reporting import reporter
from labctl.edges.workloads_file import read_workloads
from labctl.errors import BadInput, Failed, LabctlError
from labctl.plan.plan import Plan
from labctl.workloads.workload import Workload

_KEY = "labctl workloads"
_NAME = "workloads of the plan"


@dataclass(frozen=True)
class _Wanted:
    """For one host. known_as: the plan's name for it."""

    apply: HostApply
    plan: Plan
    known_as: str
    workloads: tuple[Workload, ...]

    def target(self) -> Target:
        """By what is there now. Raises what keeps it from beginning."""
        target = self.apply.to_plan(self.plan, self.known_as, self.apply.look(), self.workloads)
        for refusal in target.refusals:
            raise refusal
        return target


def deploy_workloads() -> None:
    """Put the plan of `--data plan=FILE` in place on the current host, where it has a part in it.

    `--data workloads=FILE` has the secrets that a plan leaves out.
    """
    with errors_as_pyinfras():
        data = host.data.dict()
        if not data.get("plan"):
            raise BadInput(
                "no plan is named", where="--data plan", expected="--data plan=plan.json",
                hint="`labctl place WORKLOADS --out plan.json` writes one",
            )  # fmt: skip
        plan = read_bound_plan(str(data["plan"]))
        workloads = read_workloads(str(data["workloads"])) if data.get("workloads") else ()
        folder = models_folder(f"inventory: {host.name}", data)
        apply = HostApply(host.name, shell_of(host), folder)
        seen = apply.look()
        known_as = seen.name if host.name.startswith("@") else host.name
        placed = any(each.host == known_as for each in plan.workloads.values())
        if known_as not in [each.name for each in plan.rig.hosts] or not (placed or seen.generation):
            host.log("nothing of this plan is placed here: left alone")
            return
        wanted = _Wanted(apply, plan, known_as, workloads)
        wanted.target()  # of all hosts, before the first is touched
        host.connector_data[_KEY] = wanted
        put_in_place(name=_NAME)


@operation()
def put_in_place() -> Generator[PyinfraCommand, None, None]:
    """Stage, let the host do it, and follow it to the end."""
    wanted = cast(_Wanted, host.connector_data[_KEY])
    try:
        target = wanted.target()
    except LabctlError as problem:
        if not state.is_executing:
            raise
        reporter().problem(host, problem)
        yield FunctionCommand(_refused, (), {})
        return
    if target.is_none:
        host.noop(f"{_NAME}: as planned")
        return
    if state.is_executing:
        reporter().reason(host, _NAME, summary(target.change))
    yield FunctionCommand(_carry_out, (wanted, target), {})


def _refused(state: State, host: Host) -> bool:  # noqa: ARG001 - pyinfra passes them by name
    return False


def _carry_out(state: State, host: Host, wanted: _Wanted, target: Target) -> bool:  # noqa: ARG001 - as above
    def say(line: str) -> None:
        reporter().note(host, line)

    try:
        begun = wanted.apply.begin(target)
        followed = wanted.apply.follow(begun, say)
        followed.raise_for_error()
    except LabctlError as problem:
        reporter().problem(host, problem)
        return False
    if followed.outcome not in ("done", "unchanged"):
        reporter().problem(host, Failed("it did not come up", found=followed.outcome))
        return False
    return True
