"""vLLM: what each rank holds, and the settings that pin it.

vLLM takes a fraction of the card and gives the KV cache whatever weights, activations, graphs and NCCL leave. So the
cache is decided here (context × parallel), and the fraction that follows is handed to it, together with the bytes.
"""

from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.estimate.vllm_cache import (
    SOURCE as KV_SOURCE,
)
from labctl.estimate.vllm_cache import (
    Pool,
    batched_tokens,
    cache_bytes,
    layer_token_bytes,
    pool,
    pool_tokens,
)
from labctl.estimate.vllm_vision import NOTE as VISION_NOTE
from labctl.estimate.vllm_vision import is_known, sees, with_images, with_vision
from labctl.models.layer import Attention, Layer
from labctl.models.model import Model

# One door to the engine: its cache and its images are files of their own only for their length.
__all__ = [
    "Settings", "activation_term", "batched_tokens", "cache_bytes", "check_context", "check_parallelism", "estimate",
    "graphs_term", "layer_token_bytes", "non_torch_term", "pool", "pool_tokens", "settings", "weights_term",
    "with_images", "with_vision",
]  # fmt: skip

WEIGHTS_SOURCE = (
    "vLLM ParallelLinear: split by tensor parallelism; norms, routers and MLA's down projections are not"
)
LOGITS_SOURCE = (
    "9.6 copies of FP32 logits (gpt-oss 20b/120b, Qwen3-0.6B, Llama-3.3-70B on an H100, Qwen2.5-7B on 16 GB): "
    "https://github.com/llm-d/llm-d-benchmark/blob/4f4d449/config_explorer/empirical-vllm-memory-results.md"
)
GRAPHS_SOURCE = "vLLM logs of CUDA graph capture: 102 to 1055 MiB on one card, 3.45 GiB on 4 × L40S"
NON_TORCH_SOURCE = "vLLM logs, non-torch memory: 10 to 164 MiB on one card, 200 to 563 MiB per rank with NCCL"
# --gpu-memory-utilization where nobody says otherwise; 0.9 before.
DEFAULT_FRACTION = 0.92
LOGIT_COPIES = (2.5, 9.6, 10.1)


@dataclass(frozen=True)
class Settings:
    """What to start vLLM with so that it holds what was estimated.

    kv_cache_memory_bytes: 0 for a model that caches nothing, and where nobody knows: the fraction then decides.
    """

    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int
    tensor_parallel_size: int
    kv_cache_memory_bytes: int
    gpu_memory_utilization: float | None

    def arguments(self) -> tuple[str, ...]:
        """As words of the command line. The fraction goes with the bytes: the check at start still uses it."""
        words: tuple[str, ...] = (
            f"--max-model-len={self.max_model_len}",
            f"--max-num-seqs={self.max_num_seqs}",
            f"--max-num-batched-tokens={self.max_num_batched_tokens}",
            f"--tensor-parallel-size={self.tensor_parallel_size}",
        )
        if self.kv_cache_memory_bytes:
            words += (f"--kv-cache-memory-bytes={self.kv_cache_memory_bytes}",)
        if self.gpu_memory_utilization is not None:
            words += (f"--gpu-memory-utilization={self.gpu_memory_utilization:.3f}",)
        return words


def estimate(model: Model, request: Request, *, eager: bool = False) -> Estimate:
    """What every rank holds. With `memory_fraction` the cache is what that leaves, else what the requests need.

    Raises BadInput for a tensor parallelism that the heads cannot be divided by, a context beyond the trained one, or a
    fraction that leaves no cache.
    """
    check_parallelism(model, request.tensor_parallel)
    check_context(model, request.context)
    activations = activation_term(model, request.parallel, batched_tokens(request), request.tensor_parallel)
    fixed = (
        weights_term(model, request.tensor_parallel),
        with_vision(activations, model, request),
        non_torch_term(request.tensor_parallel),
        graphs_term(request.tensor_parallel, eager=eager),
    )
    cache = _cache_term(model, request, fixed)
    terms = (*fixed, cache, context_term())
    ranks = request.tensor_parallel * request.pipeline_parallel
    pinned = settings(request, fixed, cache.expected)
    notes = [
        *model.notes,
        f"start with {' '.join(pinned.arguments())}",
        *_pool_notes(pool(model, request), request, cache.expected),
    ]
    guessed = sees(model) and not is_known(model)
    if sees(model):
        notes.append(VISION_NOTE)
    if len(set(request.card_memory_bytes)) > 1:
        notes.append("cards differ in memory: every rank takes what the smallest can give")
    return Estimate(
        model=model.name,
        request=request,
        cards=tuple(PlaceEstimate(str(rank), terms) for rank in range(ranks)),
        host=PlaceEstimate("host", ()),
        confidence="low" if guessed or model.confidence == "low" else "medium",
        notes=tuple(notes),
    )


def _pool_notes(cut: Pool, request: Request, cache: int) -> list[str]:
    """What really fits in the pool; nothing for a model that caches nothing."""
    if not cut.block_bytes:
        return []
    requests, tokens = cut.requests_in(cache), cut.tokens_in(cache, request.context)
    if not requests:
        return [f"the pool is too small for one request of {request.context} tokens: vLLM will not start"]
    if cut.block_tokens is None:
        return [f"the pool holds {requests} × {request.context} tokens: {tokens} tokens"]
    return [f"the pool holds {tokens} tokens"]


def check_context(model: Model, context: int) -> None:
    """Raises BadInput for more tokens than the model was trained on: vLLM does not start with them."""
    if model.context_train and context > model.context_train:
        raise BadInput(
            f"vLLM does not start {model.name} with more tokens than it was trained on",
            where="--context",
            found=str(context),
            expected=f"at most {model.context_train}",
            hint=f"--context {model.context_train}",
        )


def check_parallelism(model: Model, tensor_parallel: int) -> None:
    """Raises BadInput when heads cannot be dealt out evenly. Fewer KV heads than ranks are copied, evenly too."""
    for layer in model.layers:
        attention = layer.attention
        if attention is None or _deals_out(attention, tensor_parallel):
            continue
        possible = [str(each) for each in range(1, 17) if _deals_out(attention, each)]
        kind = "KV heads" if attention.n_head % tensor_parallel == 0 else "heads"
        heads = attention.n_head_kv if kind == "KV heads" else attention.n_head
        raise BadInput(
            "vLLM deals attention heads out evenly",
            where="tensor_parallel",
            found=f"{heads} {kind} on {tensor_parallel} cards",
            expected=f"one of {', '.join(possible)}",
            hint="use one of these, or pipeline parallelism",
        )


def _deals_out(attention: Attention, tensor_parallel: int) -> bool:
    if attention.n_head % tensor_parallel:
        return False
    # Every rank holds the latent whole, so there are no KV heads to deal out.
    if attention.latent or not attention.n_head_kv:
        return True
    return attention.n_head_kv % tensor_parallel == 0 or tensor_parallel % attention.n_head_kv == 0


def weights_term(model: Model, tensor_parallel: int, capability: tuple[int, int] | None = None) -> Term:
    """Bytes of weights on one rank. capability: of the card; from Hopper on, kernels pad MXFP4."""
    counted = model.parameters
    wide = 2 * (counted.embedding + counted.output + counted.other)
    linear = counted.layers + counted.experts
    per_parameter = (model.file_bytes - wide) / linear if linear else 0.0
    replicated = sum(
        _replicated_bytes(model, layer, per_parameter, tensor_parallel) for layer in model.layers
    )
    absorbed = sum(_absorbed_bytes(layer) for layer in model.layers)
    sharded = model.file_bytes - replicated
    n_bytes = int((sharded + absorbed) / tensor_parallel + replicated)
    formula = f"({model.file_bytes} − {int(replicated)} B whole on every rank) / {tensor_parallel} + {int(replicated)}"
    if absorbed:
        formula += f"; MLA keeps {absorbed} B of expanded projections in 16 bits"
    padding = _padding_bytes(model) // tensor_parallel
    if padding:
        formula += f"; up to {padding} B of padding of MXFP4 experts to a multiple of 256"
    expected = n_bytes if capability is not None and capability < (9, 0) else n_bytes + padding
    high = max(int(1.01 * n_bytes), int(1.005 * (n_bytes + padding)))
    return Term("weights", "weights", int(0.99 * n_bytes), expected, high, formula, WEIGHTS_SOURCE)


def _replicated_bytes(model: Model, layer: Layer, per_parameter: float, tensor_parallel: int) -> float:
    if tensor_parallel == 1:
        return 0.0
    n_bytes = 0.0
    if layer.experts:
        n_bytes += 2 * layer.experts.count * model.n_embd
    attention = layer.attention
    if attention and attention.latent:
        latent = attention.latent
        down = model.n_embd * (latent.q_lora_rank + latent.kv_lora_rank + latent.rope_head_dim)
        n_bytes += down * per_parameter
    elif attention and attention.n_head_kv and tensor_parallel > attention.n_head_kv:
        # Each rank holds a whole KV head, so the copies beyond the first are extra.
        both = (
            attention.n_head_kv * (attention.head_dim_k + attention.head_dim_v) * model.n_embd * per_parameter
        )
        n_bytes += both * (tensor_parallel / attention.n_head_kv - 1) / (tensor_parallel - 1)
    return n_bytes


def _absorbed_bytes(layer: Layer) -> int:
    if not (layer.attention and layer.attention.latent):
        return 0
    latent = layer.attention.latent
    return 2 * layer.attention.n_head * latent.kv_lora_rank * (latent.nope_head_dim + latent.v_head_dim)


def _padding_bytes(model: Model) -> int:
    """gpt-oss's 2880 becomes 3072: 13.47 GiB of weights in the log of an H100, 12.88 in that of an RTX 3090."""
    if not model.quant.lower().startswith("mxfp4"):
        return 0
    extra = 0.0
    for layer in model.layers:
        if layer.experts:
            padded = -(-layer.experts.ff_size // 256) * 256
            extra += layer.experts.count * 3 * model.n_embd * (padded - layer.experts.ff_size) * 4.25 / 8
    return int(extra)


def activation_term(model: Model, sequences: int, tokens: int, tensor_parallel: int) -> Term:
    """The peak of the profiling run: one full batch forward, or sampling for every sequence, whichever is more."""
    widest = max((_layer_width(model, layer) for layer in model.layers), default=8 * model.n_embd)
    forward = 2 * tokens * (widest // tensor_parallel + 4 * model.n_embd)
    logits = 4 * min(sequences, tokens) * model.vocab
    low, expected, high = (int(copies * logits) for copies in LOGIT_COPIES)
    formula = (
        f"max(2 B × {tokens} tokens × width, {LOGIT_COPIES[1]} × 4 B × {sequences} sequences × {model.vocab})"
    )
    low, expected, high = max(low, forward // 4), max(expected, forward), high + forward
    return Term("compute", "activation peak", low, expected, high, formula, LOGITS_SOURCE)


def _layer_width(model: Model, layer: Layer) -> int:
    if layer.experts:
        return 3 * (layer.experts.used * layer.experts.ff_size + layer.experts.shared_ff_size)
    return 3 * layer.ff_size or 8 * model.n_embd


def non_torch_term(tensor_parallel: int) -> Term:
    """What libraries take beside torch: cuBLAS workspaces, and NCCL's buffers with more than one rank."""
    low, expected, high = (5, 140, 170) if tensor_parallel == 1 else (195, 310, 600)
    return Term(
        "scratch", "outside torch", low * MIB, expected * MIB, high * MIB, "range of logs", NON_TORCH_SOURCE
    )


def graphs_term(tensor_parallel: int, *, eager: bool) -> Term:
    """CUDA graphs; none with --enforce-eager."""
    if eager:
        return exact("scratch", "CUDA graphs", 0, "--enforce-eager", GRAPHS_SOURCE)
    low, expected, high = (80, 500, 1100) if tensor_parallel == 1 else (200, 900, 3550)
    return Term(
        "scratch", "CUDA graphs", low * MIB, expected * MIB, high * MIB, "range of logs", GRAPHS_SOURCE
    )


def _cache_term(model: Model, request: Request, fixed: tuple[Term, ...]) -> Term:
    if request.memory_fraction is None or not request.card_memory_bytes:
        n_bytes = cache_bytes(model, request)
        cut = pool(model, request)
        formula = (
            f"({request.parallel} requests × {cut.blocks_per_request} blocks for {request.context} tokens + 1 that "
            f"vLLM keeps) × {cut.block_bytes} B"
        )
        return exact("kv_cache", "KV cache", n_bytes, formula, KV_SOURCE)
    smallest = min(request.card_memory_bytes)
    wanted = int(request.memory_fraction * smallest)
    left = [wanted - sum(getattr(term, bound) for term in fixed) for bound in ("high", "expected", "low")]
    if left[1] <= 0:
        raise BadInput(
            "vLLM would find no memory for its KV cache and stop",
            where="memory_fraction",
            found=f"{wanted // MIB} MiB of {smallest // MIB}",
            expected=f"more than {sum(term.expected for term in fixed) // MIB} MiB",
            hint="more cards, a smaller format or fewer sequences",
        )
    formula = f"{request.memory_fraction} × {smallest} − weights, activations, graphs, outside torch"
    return Term("kv_cache", "KV cache", max(0, left[0]), left[1], left[2], formula, KV_SOURCE)


def settings(request: Request, fixed: tuple[Term, ...], cache: int) -> Settings:
    """The command line that makes vLLM hold this."""
    held = sum(term.high for term in fixed) + cache
    smallest = min(request.card_memory_bytes, default=0)
    fraction = request.memory_fraction
    if fraction is None and smallest:
        fraction = min(0.99, -(-held * 1000 // smallest) / 1000)
    return Settings(
        max_model_len=request.context,
        max_num_seqs=request.parallel,
        max_num_batched_tokens=batched_tokens(request),
        tensor_parallel_size=request.tensor_parallel,
        kv_cache_memory_bytes=cache,
        gpu_memory_utilization=fraction,
    )
