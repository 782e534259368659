"""llama.cpp's whole account of one model under one request."""

from dataclasses import replace

from labctl.errors import BadInput
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.llama_cpp.graph import HOST, Graph
from labctl.estimate.llama_cpp.kv_cache import Batch, batch, kv_type, layer_bytes
from labctl.estimate.llama_cpp.layout import Layout, layout
from labctl.estimate.llama_cpp.planned import planned
from labctl.estimate.llama_cpp.schedule import buffer_bytes
from labctl.estimate.llama_cpp.weights import weight_bytes
from labctl.models.model import Confidence, Model

_SOURCE = "github.com/ggml-org/llama.cpp: "
# Planned by llama.cpp itself against the RPC layout; CUDA logs come out up to 6 % lower, and mainline changes by ±12 %.
_COMPUTE_LOW, _COMPUTE_HIGH = 0.88, 1.12
# In use per process and card before the first tensor: 250, 320, 457 and 500 MiB measured (facts/estimation.md).
_CONTEXT_MIB = (250, 400, 550)
# BLAS workspaces and the pool's growth beyond what is planned: 11 llama-bench runs held up to 240 MiB more than planned
# (https://github.com/lhl/strix-halo-testing, process memory of an AMD APU), half of them about 100.
_POOL_MIB = (0, 96, 320)
# A card with CUDA takes over the host's steps from this many tokens on (GGML_OP_OFFLOAD_MIN_BATCH).
_LARGE_BATCH = 32
# No engine without a card prints this plan; against its own graph, cut by CUDA's rule, this came out up to 20 % low.
_BORROWED_HIGH = 1.25
# Their graphs were compared with the engine's own account (tests/oracle); others share their building blocks.
HELD_AGAINST_THE_ENGINE = frozenset({
    "llama", "llama4", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen3next", "qwen35", "qwen35moe", "gemma2", "gemma3",
    "gemma3n", "phi3", "phimoe", "deepseek2", "gpt-oss", "command-r", "cohere2", "glm4", "glm4moe", "granite",
    "granitemoe", "granitehybrid", "falcon-h1", "jamba", "mamba", "mamba2", "rwkv6", "rwkv7", "lfm2", "lfm2moe",
    "nemotron_h", "nemotron_h_moe",
})  # fmt: skip
_VISION_COMPUTE_MIB = (64, 256, 1024)
DEFAULT_PROMPT_CACHE_MIB = 8192


def estimate(model: Model, request: Request) -> Estimate:
    """Memory per card and on the host. Raises `BadInput` for a request that the model cannot serve."""
    if not any(tensor.name.startswith("blk.") for tensor in model.tensors):
        raise BadInput(
            "llama.cpp needs a GGUF model",
            where=model.name,
            found="no tensor table of one",
            hint="name a .gguf file, or a catalogue model with a GGUF quantization",
        )
    places, sizes = layout(model, request), batch(request)
    weights = weight_bytes(model, places)
    caches = cache_bytes(model, request, places, sizes)
    graph, compute = planned(model, request, places, sizes)
    borrowed = _borrowed_bytes(model, graph, places, sizes, compute)
    confidence: Confidence = model.confidence
    if confidence == "high" and model.architecture not in HELD_AGAINST_THE_ENGINE:
        confidence = "medium"
    draft = _draft(request)
    return Estimate(
        model=model.name,
        request=request,
        cards=tuple(
            PlaceEstimate(
                str(card),
                (
                    *_terms(card, weights, caches, compute, sizes),
                    *_beyond_the_plan(model, request, places, sizes, card),
                    *(_borrowed(borrowed) if card == 0 and borrowed else ()),
                    *(_vision(request.mmproj) if card == 0 and request.mmproj else ()),
                    *(draft.cards[card].terms if draft else ()),
                ),
            )
            for card in range(request.n_gpus)
        ),
        host=PlaceEstimate(
            "host",
            (
                *_terms(HOST, weights, caches, compute, sizes),
                *_prompt_cache(request),
                *(draft.host.terms if draft else ()),
            ),
        ),
        confidence=confidence,
        notes=_notes(model, request, sizes),
    )


def least_bytes(model: Model, request: Request) -> int:
    """Bytes that all cards take together at the least, however layers are split: weights and caches, without a plan.

    Worked out in a tenth of the time of an estimate, which is never below it. Raises `BadInput` as that does.
    """
    alone = replace(request, n_gpus=1, tensor_split=None)
    places = layout(model, alone)
    return weight_bytes(model, places).get(0, 0) + cache_bytes(model, alone, places, batch(alone)).get(0, 0)


def cache_bytes(model: Model, request: Request, places: Layout, sizes: Batch) -> dict[int, int]:
    """Place → bytes of KV cache and recurrent state."""
    total = dict.fromkeys((HOST, *range(request.n_gpus)), 0)
    for layer, place in zip(model.layers, places.layers, strict=True):
        total[place if request.offload_kqv else HOST] += layer_bytes(layer, model, request, sizes)
    return total


def _terms(
    place: int, weights: dict[int, int], caches: dict[int, int], compute: dict[int, int], sizes: Batch
) -> tuple[Term, ...]:
    planned = compute.get(place, 0)
    return (
        exact(
            "weights",
            "weights",
            weights.get(place, 0),
            "sum of the tensors placed here",
            f"{_SOURCE}src/llama-model.cpp",
        ),
        exact(
            "kv_cache",
            "KV cache",
            caches.get(place, 0),
            f"rows of {sizes.cells} cells × {sizes.n_streams} streams, and state × {sizes.n_sequences} sequences",
            f"{_SOURCE}src/llama-kv-cache.cpp, src/llama-memory-recurrent.cpp",
        ),
        Term(
            "compute",
            "compute buffer",
            int(planned * _COMPUTE_LOW),
            planned,
            int(planned * _COMPUTE_HIGH),
            f"worst-case graph at {sizes.n_ubatch} tokens",
            f"{_SOURCE}src/llama-context.cpp, ggml/src/ggml-alloc.c",
        ),
    )


def _beyond_the_plan(
    model: Model, request: Request, places: Layout, sizes: Batch, card: int
) -> tuple[Term, ...]:
    """What CUDA takes on a card that is used: its context, pools, and F16 copies of a quantized cache."""
    # With everything on the host, the first card in sight still gets a context, and large batches.
    used = card in places.layers or card == places.output or (card == 0 and not places.n_cards)
    if not used:
        return ()
    low, expected, high = (size * MIB for size in _CONTEXT_MIB)
    pool_low, pool, pool_high = (size * MIB for size in _POOL_MIB)
    copy = _largest_f16_copy(model, request, places, sizes, card)
    return (
        Term("context_overhead", "CUDA context", low, expected, high, "250 … 550 MiB", "measured, facts"),
        Term(
            "scratch",
            "pools and cuBLAS",
            pool_low,
            pool,
            pool_high,
            "0 … 320 MiB",
            "measured, llama-bench",
        ),
        Term(
            "scratch",
            "F16 copy of one layer's quantized cache",
            0,
            copy,
            copy,
            "2 bytes × cells × (keys + values) of the largest layer, in prefill",
            f"{_SOURCE}ggml/src/ggml-cuda/fattn-common.cuh",
        ),
    )


def _borrowed_bytes(model: Model, graph: Graph, places: Layout, sizes: Batch, compute: dict[int, int]) -> int:
    """What the first card takes beyond the plan to compute large batches for layers or experts on the host."""
    on_host = HOST in places.layers or places.output == HOST or places.expert_layers_on_host > 0
    if not on_host or sizes.n_tokens < _LARGE_BATCH:
        return 0
    if not places.n_cards:
        # Nothing is planned for a card that only helps; it computes what the host would, from copied weights.
        return compute.get(HOST, 0)
    weights = {tensor.name: tensor.n_bytes for tensor in model.tensors}
    taken = buffer_bytes(graph, pipelined=places.pipelined, borrowed=weights)
    return max(0, taken.get(0, 0) - compute.get(0, 0))


def _borrowed(n_bytes: int) -> tuple[Term, ...]:
    return (
        Term(
            "scratch",
            "host's weights, copied to compute large batches",
            0,
            n_bytes,
            int(n_bytes * _BORROWED_HIGH),
            "the same graph with every host weight's step on the first card, less the planned buffer",
            f"{_SOURCE}ggml/src/ggml-backend.cpp (op_offload)",
        ),
    )


def _largest_f16_copy(model: Model, request: Request, places: Layout, sizes: Batch, card: int) -> int:
    def copied(name: str) -> str:
        return "f16" if kv_type(name).block > 1 else ""

    largest = 0
    for layer, place in zip(model.layers, places.layers, strict=True):
        attends = layer.attention
        if place != card or not attends or not layer.loaded:
            continue
        cells = sizes.cells if attends.window is None else sizes.window_cells(attends.window)
        width = attends.n_head_kv * (
            attends.head_dim_k * bool(copied(request.kv_type_k))
            + attends.head_dim_v * bool(copied(request.kv_type_v))
        )
        largest = max(largest, 2 * width * cells * sizes.n_streams)
    return largest


def _vision(mmproj: Model) -> tuple[Term, ...]:
    """The vision part lies on the first card; the oracle does not know it, so its graph is an allowance."""
    low, expected, high = (size * MIB for size in _VISION_COMPUTE_MIB)
    total = sum(tensor.n_bytes for tensor in mmproj.tensors) or mmproj.file_bytes
    return (
        exact(
            "weights",
            "vision part",
            total,
            "sum of the mmproj file's tensors",
            f"{_SOURCE}tools/mtmd/clip.cpp",
        ),
        Term("compute", "vision part", low, expected, high, "64 … 1024 MiB, by image size", "allowance"),
    )


def _draft(request: Request) -> Estimate | None:
    """The draft model runs in the same process: everything but the context and the host's prompt cache, once more."""
    if request.draft is None:
        return None
    alone = estimate(
        request.draft, replace(request, draft=None, mmproj=None, n_cpu_moe=0, prompt_cache_mib=0)
    )
    return replace(
        alone,
        cards=tuple(_named_draft(card) for card in alone.cards),
        host=_named_draft(alone.host),
    )


def _named_draft(place: PlaceEstimate) -> PlaceEstimate:
    once = ("context_overhead", "prompt_cache", "scratch")
    kept = (term for term in place.terms if term.part not in once)
    return replace(place, terms=tuple(replace(term, name=f"draft model: {term.name}") for term in kept))


def _prompt_cache(request: Request) -> tuple[Term, ...]:
    mib = DEFAULT_PROMPT_CACHE_MIB if request.prompt_cache_mib is None else request.prompt_cache_mib
    return (
        Term("prompt_cache", "prompt cache", 0, 0, mib * MIB, f"--cache-ram {mib}", f"{_SOURCE}tools/server"),
    )


def _notes(model: Model, request: Request, sizes: Batch) -> tuple[str, ...]:
    notes = list(model.notes)
    if request.n_gpu_layers <= 0:
        notes.append("without layers on a card llama.cpp still computes large batches there: hide the card")
    if model.context_train and sizes.cells > model.context_train:
        notes.append(
            f"context {sizes.cells} is beyond the {model.context_train} that the model was trained for"
        )
    return tuple(notes)
