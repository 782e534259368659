"""Which model files a plan needs on a host, and where they lie there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labctl.plan.plan import Plan
from labctl.render import model_place
from labctl.render.container import model_file, model_format
from labctl.render.engine import TOLD_OF_ITS_MODEL
from labctl.render.host import HostFacts
from labctl.render.values import Asked
from labctl.workloads.service import Service


@dataclass(frozen=True)
class NeededModel:
    """A file or a folder below the host's folder of models, and the workloads that load it.

    model: as the plan names it. is_projector: what lets that model see, in a file of its own beside it.
    starts_without: the workloads are not told of it, and whoever uses them may put it there, or another one.
    """

    place: str
    model: str
    quant: str
    engine: str
    workloads: tuple[str, ...]
    is_projector: bool = False
    starts_without: bool = False


def needed_models(
    plan: Plan, services: Mapping[str, Service], workloads: Collection[str], facts: HostFacts | None = None
) -> tuple[NeededModel, ...]:
    """What these workloads of a plan load, each place once. facts: of the host, for models that lie elsewhere."""
    found: dict[str, NeededModel] = {}
    for name in sorted(workloads):
        planned = plan.workloads[name]
        service = services.get(planned.service)
        if service is None or planned.model is None:
            continue
        asked = Asked(name, planned, service, plan, services, facts or HostFacts())
        place = model_file(asked)
        if place is None:
            continue
        places = [(place, False)]
        if planned.vision and service.engine == "llama.cpp":
            places.append((model_place.projector_of(planned.model), True))
        for at, is_projector in places:
            others = found[at].workloads if at in found else ()
            found[at] = NeededModel(
                at,
                planned.model,
                model_format(asked),
                service.engine or "",
                (*others, name),
                is_projector,
                starts_without=service.engine not in TOLD_OF_ITS_MODEL,
            )
    return tuple(found[place] for place in sorted(found))
