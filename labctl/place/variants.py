"""The ways one workload may be run, in order of preference: what `rank` counts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Request
from labctl.workloads.workload import Amount, Workload

# Where the file does not say: enough for a long chat, little enough for a small card.
USUAL_CONTEXT = 8192
# llama-server's own default, and how much of the host's RAM it may be at most.
PROMPT_CACHE_MIB, PROMPT_CACHE_SHARE = 8192, 8


@dataclass(frozen=True)
class Variant:
    """A format, and the request that goes with it, before cards are chosen. rank: position in the list of wishes."""

    rank: int
    quant: str
    request: Request
    offload: bool = False


def variants(workload: Workload, candidate: Candidate, ram_mib: int | None) -> Iterator[Variant]:
    """By rank: format outermost, then KV type, then context, then parallel, then offload where it is allowed."""
    engine = candidate.engine
    contexts = _contexts(workload, candidate)
    kv_types = workload.kv_types or ("f16",)
    rank = 0
    for quant in candidate.quants:
        for kv_type in kv_types:
            for context in contexts:
                for parallel in workload.parallel.halved():
                    request = Request(
                        engine, context, parallel, kv_type_k=kv_type, kv_type_v=kv_type,
                        prompt_cache_mib=_prompt_cache_mib(ram_mib) if engine == "llama.cpp" else None,
                    )  # fmt: skip
                    if workload.training is not None:
                        request = replace(request, parallel=workload.training.batch)
                    yield Variant(rank, quant, request)
                    rank += 1
                    if workload.offload and engine == "llama.cpp":
                        yield Variant(rank, quant, request, offload=True)
                        rank += 1


def _contexts(workload: Workload, candidate: Candidate) -> tuple[int, ...]:
    if workload.training is not None:
        return (workload.training.sequence,)
    if not candidate.context_train:
        return (0,)
    most = candidate.context_train
    asked = workload.context or Amount(min(USUAL_CONTEXT, most), min(USUAL_CONTEXT, most))
    return asked.halved()


def _prompt_cache_mib(ram_mib: int | None) -> int:
    return PROMPT_CACHE_MIB if ram_mib is None else min(PROMPT_CACHE_MIB, ram_mib // PROMPT_CACHE_SHARE)
