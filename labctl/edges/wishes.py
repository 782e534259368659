"""Workloads with what they load: the catalogue's services and models looked up."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from labctl.edges import catalog
from labctl.edges.candidates import Found, Wanted, find
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Engine, Request
from labctl.place.fit import SHARED, SHARED_BY_RANK
from labctl.place.options import Wish
from labctl.place.rules import KV_TYPES
from labctl.workloads.service import Service
from labctl.workloads.workload import Workload

# Formats that are tried where the file says `auto`: none that costs quality, none finer than anybody could tell.
AUTO = {
    "llama.cpp": ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS"),
    "vllm": ("bf16", "fp16", "fp8", "awq"),
    "comfyui": ("bf16", "fp8", "Q8_0", "nf4"),
    "whisper": ("fp16", "int8"),
}


# Of no matter where only the number of cards is asked about.
_ANY_CONTEXT = 256


def wishes(workloads: Iterable[Workload], where: str, described: Collection[str] = ()) -> tuple[Wish, ...]:
    """Each workload as placement wants it. described: models of cards that only the rig knows, not the catalogue.

    Raises BadInput, with line and key, for a model or a card that is not to be had, and for what no cards could serve.
    """
    return tuple(_wish(each, where, described) for each in workloads)


def _wish(workload: Workload, where: str, described: Collection[str]) -> Wish:
    service = catalog.service(workload.service)
    if service is None:  # the file's parser has refused it already
        raise BadInput("no service of that name", where=f"{where}:{workload.line}", found=workload.service)
    with _said_at(workload, where, "gpus", "models"):
        models = tuple(each if each in described else catalog.gpu(each).name for each in workload.gpus.models)
    workload = replace(workload, gpus=replace(workload.gpus, models=models))
    if workload.model is None or service.engine is None or workload.vram_mib is not None:
        return Wish(workload, service, None)
    with _said_at(workload, where, "model"):
        found = _found(workload, service)
    with _said_at(workload, where, "kv_type"):
        _refuse_kv_types(workload, found.candidate.engine)
    with _said_at(workload, where, "gpus", "count"):
        _refuse_count(workload.gpus.count, found.candidate)
    return Wish(workload, service, found.candidate, next(iter(found.companions), None))


@contextmanager
def _said_at(workload: Workload, where: str, *path: str) -> Iterator[None]:
    """Gives a BadInput from within the file, the line and the key; one about a format that of the format."""
    try:
        yield
    except BadInput as error:
        if error.where == "--quant":
            path = (workload.format_key,)
        error.where = f"{where}:{workload.line_of(path[0])}: {workload.name}.{'.'.join(path)}"
        raise


def _refuse_kv_types(workload: Workload, engine: Engine) -> None:
    known = KV_TYPES.get(engine, ("f16",))
    for each in workload.kv_types:
        if each not in known:
            raise BadInput(
                f"{engine} has no KV cache in this format", found=each, expected=", ".join(("auto", *known))
            )


def _refuse_count(count: int | None, candidate: Candidate) -> None:
    """A number of cards among which the engine never shares this model."""
    engine = candidate.engine
    if count == 0 and engine != "llama.cpp":
        raise BadInput(f"{engine} needs a card", found="0", expected="1 or more")
    if count is None or count < 2:
        return
    if engine not in SHARED:
        raise BadInput(f"{engine} keeps a model on one card", found=str(count), expected="1")
    if engine in SHARED_BY_RANK:
        # It says itself which numbers do.
        candidate.estimate(
            candidate.quants[0], Request(engine, _ANY_CONTEXT, n_gpus=count, tensor_parallel=count)
        )


def _found(workload: Workload, service: Service) -> Found:
    training = workload.training
    engine: Engine | None = None if service.engine == "training" else service.engine
    wanted = Wanted(
        workload.model or "",
        engine,
        workload.quants,
        training.method if training else None,
        rank=training.rank if training else 16,
        optimizer=training.optimizer if training else "adamw",
        size=workload.size or (1024, 1024),
        frames=workload.frames,
    )
    found = find(wanted)
    usual = AUTO.get(service.engine or "")
    if workload.quants or usual is None or not set(usual) & set(found.candidate.quants):
        return found
    kept = tuple(quant for quant in usual if quant in found.candidate.quants)
    return find(replace(wanted, quants=kept))
