"""Hugging Face transformers (and litgpt): weights, a cache that grows, and the prompt's activations in one piece."""

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.models.layer import Layer
from labctl.models.model import Model

KV_SOURCE = "transformers DynamicCache: KV heads × (key + value size) × 2 B per token; sliding layers keep their window"
# 3 × feed-forward + 3.3 × hidden, 2 bytes each: Qwen2.5-14B with 30720 tokens of prompt. Qwen3's own table, measured
# with a later version, shows next to none: the low end.
PROMPT_SOURCE = (
    "Qwen2.5 and Qwen3 speed benchmarks with transformers: 3419 and 37 MiB at 30720 tokens of prompt"
)
SLACK_SOURCE = "cuBLAS workspaces and unpacked weights: 20 to 580 MiB in the same tables"


def estimate(model: Model, request: Request, *, prompt: int | None = None) -> Estimate:
    """One process. prompt: tokens read at once, the whole context if not said. Several cards share layers evenly."""
    tokens = request.context * request.parallel
    at_once = request.context if prompt is None else prompt
    cards = request.n_gpus
    weights = exact(
        "weights", "weights", -(-model.file_bytes // cards), f"{model.file_bytes} B / {cards} cards", "file"
    )
    cache = sum(
        _token_bytes(layer) * _kept(layer, request.context) * request.parallel for layer in model.layers
    )
    formula = f"{tokens} tokens, every layer"
    filled = cache * min(at_once, request.context) // max(1, request.context)
    kv = Term(
        "kv_cache", "KV cache", filled // cards, -(-cache // cards), -(-cache // cards), formula, KV_SOURCE
    )
    width = max((_width(model, layer) for layer in model.layers), default=8 * model.n_embd)
    peak = int(2 * at_once * request.parallel * (width + 3.3 * model.n_embd))
    formula = f"2 B × {at_once * request.parallel} tokens × (3 × feed-forward + 3.3 × {model.n_embd})"
    prompt_term = Term("compute", "prompt activations", 0, peak, int(1.15 * peak), formula, PROMPT_SOURCE)
    slack = Term("scratch", "workspaces", 8 * MIB, 40 * MIB, 640 * MIB, "range of measurements", SLACK_SOURCE)
    terms = (weights, kv, prompt_term, slack, context_term())
    return Estimate(
        model=model.name,
        request=request,
        cards=tuple(PlaceEstimate(str(card), terms) for card in range(cards)),
        host=PlaceEstimate("host", ()),
        confidence=model.confidence,
    )


def _kept(layer: Layer, context: int) -> int:
    window = layer.attention.window if layer.attention else None
    return min(context, window) if window else context


def _token_bytes(layer: Layer) -> int:
    attention = layer.attention
    if attention is None or not attention.caches or not layer.loaded:
        return 0
    latent = attention.latent
    if latent:
        # Unlike vLLM, transformers caches MLA's keys and values expanded, head by head.
        return 2 * attention.n_head * (latent.nope_head_dim + latent.rope_head_dim + latent.v_head_dim)
    return 2 * attention.n_head_kv * (attention.head_dim_k + attention.head_dim_v)


def _width(model: Model, layer: Layer) -> int:
    if layer.experts:
        return 3 * (layer.experts.used * layer.experts.ff_size + layer.experts.shared_ff_size)
    return 3 * layer.ff_size or 8 * model.n_embd
