"""What has to give way for a refused workload: found by taking it away altogether, before anything is tried in earnest.

No lever on a target can do more than the target being gone, so where that does not help none of its levers is tried.
It is cheap, too: what is gone needs no estimates.
"""

from dataclasses import dataclass, replace
from typing import Literal

from labctl.place.placement import Placement, Question
from labctl.place.solver_explain import Refused
from labctl.place.suggestion_levers import wish_of, with_wish
from labctl.workloads.workload import GpuLimits

# own: what it asks of cards; other: a workload in its way; ram, disk: what it asks of the host; card: one of its own;
# psu: what the power supply gives; driver: the one that runs.
What = Literal["own", "other", "ram", "disk", "psu", "driver", "card"]
# Workloads that are asked to give way, those that hold most first.
MOST_ASKED = 2


@dataclass(frozen=True)
class Target:
    """One thing that may stand in the way. name: of the other workload."""

    what: What
    name: str = ""


Targets = tuple[Target, ...]


def targets(placement: Placement, refused: Refused) -> tuple[Target, ...]:
    """Everything that is worth a look, what is the workload's own first."""
    reasons = {each.reason for each in refused.refusals}
    others = tuple(Target("other", name) for name in _holders(placement, refused.workload))
    hosts = (Target("ram"), *((Target("disk"),) if "disk" in reasons else ()))
    power = (Target("psu"),) if "psu" in reasons else ()
    driver = (Target("driver"),) if "driver" in reasons else ()
    return (Target("own"), *others, *power, *driver, *hosts, Target("card"))


def _holders(placement: Placement, name: str) -> list[str]:
    """Placed workloads that a refused one may meet, those that hold most of cards and RAM first."""
    priority = {each.name: each.priority for each in placement.problem.workloads}
    held = {
        each: sum(option.claims_mib.values()) + option.ram_mib
        for each, option in placement.placed.items()
        if (option.claims_mib or option.ram_mib) and priority[each] >= priority[name]
    }
    uses_card = {each for each in held if placement.placed[each].claims_mib}
    return sorted(held, key=lambda each: (each not in uses_card, -held[each], each))[:MOST_ASKED]


def relieved(question: Question, name: str, gone: Targets) -> Question:
    """The question as it would be if these asked for nothing."""
    what = {each.what for each in gone}
    for each in gone:
        if each.what == "other":
            question = _without(question, each.name)
    if "driver" in what:
        hosts = tuple(replace(host, driver=None) for host in question.rig.hosts)
        question = replace(question, rig=replace(question.rig, hosts=hosts))
    if "psu" in what:
        hosts = tuple(replace(host, psu_watts=None) for host in question.rig.hosts)
        question = replace(question, rig=replace(question.rig, hosts=hosts))
    wish = wish_of(question, name)
    workload, service = wish.workload, wish.service
    if "ram" in what:
        workload = replace(workload, ram_mib=0)
    if "disk" in what:
        workload = replace(workload, disk_mib=0)
    if what & {"own", "card"}:
        # A declared claim, or none at all: no model is estimated.
        service = service.model_copy(update={"elastic": False})
        workload = replace(workload, vram_mib=1 if "card" not in what else 0, gpus=GpuLimits(), ports=())
        return with_wish(question, replace(wish, workload=workload, service=service, candidate=None))
    return with_wish(question, replace(wish, workload=workload))


def _without(question: Question, name: str) -> Question:
    """The question as if nobody had asked for this workload."""
    left = (wish for wish in question.wishes if wish.workload.name != name)

    def unnamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each for each in names if each != name)

    return replace(
        question,
        wishes=tuple(
            replace(
                wish,
                workload=replace(
                    wish.workload,
                    apart_from=unnamed(wish.workload.apart_from),
                    displaces=unnamed(wish.workload.displaces),
                    uses=unnamed(wish.workload.uses),
                ),
            )
            for wish in left
        ),
    )
