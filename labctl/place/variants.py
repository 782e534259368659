"""The ways one workload may be run, in order of preference: what `rank` counts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Request
from labctl.models.model import Model
from labctl.workloads.workload import Amount, Workload

# Where the file does not say: enough for a long chat, little enough for a small card.
USUAL_CONTEXT = 8192
USUAL_KV_TYPES = ("f16",)
# How much of a model is moved to RAM, in steps: each leaves another room for the rest of the cards' work.
EXPERT_SHARES, LAYER_SHARES = (0.25, 0.5, 0.75, 1.0), (0.25, 0.5, 0.75)
# llama-server's own default, and how much of the host's RAM it may be at most.
PROMPT_CACHE_MIB, PROMPT_CACHE_SHARE = 8192, 8
# Another kernel leaves a few MiB more or less of the RAM; no service is to be started anew for that.
PROMPT_CACHE_STEP_MIB = 256


@dataclass(frozen=True)
class Variant:
    """A format, and the request that goes with it, before cards are chosen. rank: position in the list of wishes.

    without_card: all of it runs on the host's processor.
    """

    rank: int
    quant: str
    request: Request
    without_card: bool = False


def variants(
    workload: Workload, candidate: Candidate, ram_mib: int | None, vision: Model | None = None
) -> Iterator[Variant]:
    """By rank: format outermost, then KV type, then context, then parallel, then offload where it is allowed."""
    engine = candidate.engine
    contexts = _contexts(workload, candidate)
    kv_types = workload.kv_types or USUAL_KV_TYPES
    rank = 0
    for quant in candidate.quants:
        for kv_type in kv_types:
            for context in contexts:
                for parallel in workload.parallel.halved():
                    request = Request(
                        engine, context, parallel, kv_type_k=kv_type, kv_type_v=kv_type,
                        prompt_cache_mib=_prompt_cache_mib(ram_mib) if engine == "llama.cpp" else None,
                        mmproj=vision,
                    )  # fmt: skip
                    if workload.training is not None:
                        request = replace(request, parallel=workload.training.batch)
                    if workload.gpus.count == 0:
                        yield Variant(rank, quant, replace(request, n_gpu_layers=0), without_card=True)
                        rank += 1
                        continue
                    yield Variant(rank, quant, request)
                    rank += 1
                    if workload.offload and engine == "llama.cpp":
                        for moved in offloads(candidate, request):
                            yield Variant(rank, quant, moved, without_card=moved.n_gpu_layers == 0)
                            rank += 1


def offloads(candidate: Candidate, request: Request) -> Iterator[Request]:
    """The request with more and more of the model in RAM: experts first where there are any, then layers, then all.

    In a few steps: each is another answer to what the rest of the cards may hold.
    """
    n_layers, has_experts = candidate.layers
    if has_experts:
        for share in EXPERT_SHARES:
            yield replace(request, n_cpu_moe=max(1, round(share * n_layers)))
    else:
        for share in LAYER_SHARES:
            yield replace(request, n_gpu_layers=max(1, n_layers + 1 - round(share * n_layers)))
    yield replace(request, n_gpu_layers=0)


def _contexts(workload: Workload, candidate: Candidate) -> tuple[int, ...]:
    if workload.training is not None:
        return (workload.training.sequence,)
    if not candidate.context_train:
        return (0,)
    most = candidate.context_train
    asked = workload.context or Amount(min(USUAL_CONTEXT, most), min(USUAL_CONTEXT, most))
    return asked.halved()


def _prompt_cache_mib(ram_mib: int | None) -> int:
    if ram_mib is None:
        return PROMPT_CACHE_MIB
    share = ram_mib // PROMPT_CACHE_SHARE
    return min(PROMPT_CACHE_MIB, share - share % PROMPT_CACHE_STEP_MIB)
