"""From a placement to its plan."""

from dataclasses import asdict, replace

from labctl.models.model import Model
from labctl.place.options import Wish
from labctl.place.placement import Placement
from labctl.place.problem import Option
from labctl.plan.claims import claims_of
from labctl.plan.hardware import hardware_of
from labctl.plan.masked import masked
from labctl.plan.plan import Plan, PlannedPort, PlannedTier, PlannedWorkload, Solved, Unplaced
from labctl.plan.ports import host_ports, published
from labctl.rig.rig import Rig
from labctl.workloads.workload import Window

_MINUTES = 60


def plan_of(placement: Placement, kept: Plan | None = None) -> Plan:
    """What was placed. kept: the plan that it went by; it comes back as it was where there is nothing to change.

    Raises BadInput where a host has no port left.
    """
    question, solution = placement.question, placement.solution
    wishes = {wish.workload.name: wish for wish in question.wishes}
    ports = host_ports(
        {
            name: (option.host, published(wishes[name].workload, wishes[name].service))
            for name, option in placement.placed.items()
        },
        {host.name: host.taken_ports for host in placement.problem.hosts},
        kept,
    )
    plan = Plan(
        rig=hardware_of(question.rig),
        workloads={
            name: _planned(wishes[name], option, question.rig, ports[name])
            for name, option in placement.placed.items()
        },
        unplaced={each.workload: _unplaced(placement, wishes[each.workload]) for each in placement.refused},
        solver=Solved(
            solution.optimal, tuple(PlannedTier(each.value, each.bound) for each in solution.tiers)
        ),
    )
    # What was solved then had moves to count, perhaps, and another bound: nothing that anybody would have to apply.
    return kept if kept is not None and replace(plan, solver=kept.solver) == kept else plan


def _planned(wish: Wish, option: Option, rig: Rig, ports: tuple[PlannedPort, ...]) -> PlannedWorkload:
    workload = wish.workload
    written = masked(workload.env, workload.args)
    return PlannedWorkload(
        service=workload.service,
        host=option.host,
        cards=claims_of(wish, option, rig),
        model=workload.model,
        vision=wish.vision.name if isinstance(wish.vision, Model) else None,
        variant=dict(option.variant),
        rank=option.rank,
        tokens_per_second=None if option.decitokens_per_second is None else option.decitokens_per_second / 10,
        ram_mib=option.ram_mib,
        disk_mib=option.disk_mib,
        elastic=wish.service.elastic and wish.candidate is None and workload.vram_mib is None,
        exclusive=workload.gpus.exclusive,
        training=asdict(workload.training) if workload.training else None,
        displaces=workload.displaces,
        when=_clock(workload.when) if workload.when else None,
        uses=workload.uses,
        expose=workload.expose,
        ports=ports,
        image=workload.image,
        args=written.args,
        env=written.env,
        volumes=dict(workload.volumes),
        devices=workload.devices,
        data=workload.data,
        secrets=written.secrets,
    )


def _unplaced(placement: Placement, wish: Wish) -> Unplaced:
    ran = placement.question.incumbents.get(wish.workload.name)
    return Unplaced(wish.workload.service, ran.host if ran and wish.service.stateful else None)


def _clock(window: Window) -> str:
    """As the person wrote it."""
    return "-".join(f"{each // _MINUTES:02}:{each % _MINUTES:02}" for each in (window.start, window.end))
