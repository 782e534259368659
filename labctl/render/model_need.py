"""Which model files a plan needs on a host, and where they lie there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labctl.plan.plan import Plan, PlannedWorkload
from labctl.render import model_place, names
from labctl.render.container import model_file, model_format
from labctl.render.engine import TOLD_OF_ITS_MODEL
from labctl.render.host import HostFacts
from labctl.render.values import LOOPBACK, Asked, speech_model
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


@dataclass(frozen=True)
class LeftOut:
    """A model that no pull of a plan brings, since its engine is told of none. do: what a person does instead.

    place: below the host's folder of models, where it would be found; None where the service keeps its own.
    """

    workload: str
    model: str
    place: str | None
    do: str


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


def left_out(plan: Plan, services: Mapping[str, Service], workloads: Collection[str]) -> tuple[LeftOut, ...]:
    """Of these workloads those whose model is not pulled for them."""
    found = []
    for name in sorted(workloads):
        planned = plan.workloads[name]
        service = services.get(planned.service)
        if service is None or planned.model is None or service.engine in (None, *TOLD_OF_ITS_MODEL):
            continue
        place = model_file(Asked(name, planned, service, plan, services, HostFacts()))
        found.append(LeftOut(name, planned.model, place, _do(name, planned, planned.model, service)))
    return tuple(found)


def _do(name: str, planned: PlannedWorkload, model: str, service: Service) -> str:
    match service.engine:
        case "whisper":
            port = service.first.ports[0].container
            at = next((each.host for each in planned.ports if each.container == port), port)
            asked = f"http://{LOOPBACK}:{at}/v1/models/{speech_model(model)}"
            return f"when it runs, on its host: curl -fX POST {asked}"
        case "ollama":
            fetch = f"podman exec {names.stem(name)} ollama pull MODEL"
            return f"when it runs, on its host, by Ollama's own name of it: {fetch}"
    source = "" if "/" in model else " --from org/name"
    quant = planned.variant.get("quant")
    of = f"{model} --quant {quant}" if quant else model
    pull = f"labctl models pull {of} --engine {service.engine}{source}"
    return f"to have it in its lists, below shared/: {pull}"
