"""Workloads with what they load: the catalogue's services and models looked up."""

from collections.abc import Iterable
from dataclasses import replace

from labctl.edges import catalog
from labctl.edges.candidates import Found, Wanted, find
from labctl.errors import BadInput
from labctl.estimate.claim import Engine
from labctl.place.options import Wish
from labctl.workloads.service import Service
from labctl.workloads.workload import Workload

# Formats that are tried where the file says `auto`: none that costs quality, none finer than anybody could tell.
AUTO = {
    "llama.cpp": ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS"),
    "vllm": ("bf16", "fp16", "fp8", "awq"),
    "comfyui": ("bf16", "fp8", "Q8_0", "nf4"),
    "whisper": ("fp16", "int8"),
}


def wishes(workloads: Iterable[Workload], where: str) -> tuple[Wish, ...]:
    """Each workload as placement wants it. Raises BadInput, with the line, for a model that is not to be had."""
    return tuple(_wish(each, where) for each in workloads)


def _wish(workload: Workload, where: str) -> Wish:
    service = catalog.service(workload.service)
    if service is None:  # the file's parser has refused it already
        raise BadInput("no service of that name", where=f"{where}:{workload.line}", found=workload.service)
    if workload.model is None or service.engine is None or workload.vram_mib is not None:
        return Wish(workload, service, None)
    try:
        found = _found(workload, service)
    except BadInput as error:
        error.where = f"{where}:{workload.line}: {workload.name}.model"
        raise
    return Wish(workload, service, found.candidate, next(iter(found.companions), None))


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
