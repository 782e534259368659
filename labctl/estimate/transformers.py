"""Hugging Face transformers (and litgpt): weights, a cache that grows, and the prompt's activations in one piece."""

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.models.layer import Layer
from labctl.models.model import Model

KV_SOURCE = "transformers DynamicCache: KV heads × (key + value size) × 2 B per token; sliding layers keep their window"
# Gate, up and their product, then residual, normed input, attention's result and its projection.
# Slope of Qwen2.5 0.5B to 32B between 14336 and 30720 tokens of prompt: 3 × feed-forward + 3.9 to 4.3 × hidden.
PROMPT_HIDDEN = 4
PROMPT_SOURCE = (
    "Qwen2.5 speed benchmark (transformers 4.46, flash attention 2, torch.cuda.max_memory_allocated), 0.5B to 32B: "
    "https://github.com/QwenLM/Qwen3/blob/a912d23/docs/source/benchmark/speed_benchmark.rst"
)
# Eager attention: scores in 16 bits, their softmax in FP32, and that in 16 bits again.
EAGER_SCORE_BYTES = 2 + 4 + 2
SLACK_SOURCE = (
    "cuBLAS workspaces and last logits: 20 to 200 MiB in the same table, 580 with AWQ of tied models"
)
QWEN3 = "https://github.com/QwenLM/Qwen3/blob/c7f51a1/docs/source/getting_started/speed_benchmark.md"
REPEAT_SOURCE = (
    "scaled_dot_product_attention after repeat_kv: 18 to 33 KiB per token, Qwen3 4B to 32B without flash attention, "
    f"{QWEN3}"
)
UNTIED_SOURCE = f"Qwen3 0.6B, 1.7B and 4B in FP8 hold their embedding twice, {QWEN3}"
DEQUANTIZED_SOURCE = (
    "exllamav2 kernels of AutoGPTQ: 133 to 481 MiB more than AWQ in the same table, 7B to 72B"
)
SLACK_MIB = (8, 48, 640)


def estimate(model: Model, request: Request, *, prompt: int | None = None) -> Estimate:
    """One process. prompt: tokens read at once, the whole context if not said. Several cards share layers evenly.

    The peak is the larger of two moments: all of the prompt goes through one layer, when the cache holds the prompt
    alone; and the last token, when the cache is full and nothing else is. Logits are made for the last token only.
    """
    tokens = request.context * request.parallel
    at_once = min(request.context, request.context if prompt is None else prompt)
    cards = request.n_gpus
    weights = exact(
        "weights", "weights", -(-model.file_bytes // cards), f"{model.file_bytes} B / {cards} cards", "file"
    )
    cache, filled = (
        -(
            -sum(_token_bytes(layer) * _kept(layer, reach) for layer in model.layers)
            * request.parallel
            // cards
        )
        for reach in (request.context, at_once)
    )
    kv = Term("kv_cache", "KV cache", filled, cache, cache, f"{tokens} tokens, every layer", KV_SOURCE)
    low, expected, high = (each * MIB for each in SLACK_MIB)
    slack = Term("scratch", "workspaces", low, expected, high, "range of measurements", SLACK_SOURCE)
    repeated = _repeated_term(model, request)
    terms = (
        weights,
        *_untied(model),
        kv,
        repeated,
        _prompt_term(model, request, at_once, cache - filled + repeated.expected),
        *_dequantized(model),
        slack,
        context_term(),
    )
    return Estimate(
        model=model.name,
        request=request,
        cards=tuple(PlaceEstimate(str(card), terms) for card in range(cards)),
        host=PlaceEstimate("host", ()),
        confidence=model.confidence,
    )


def _repeated_term(model: Model, request: Request) -> Term:
    """One layer's cache, copied to as many heads as queries have. flash_attention True copies nothing."""
    shared = [
        layer.attention
        for layer in model.layers
        if layer.attention
        and not layer.attention.latent
        and layer.attention.n_head > layer.attention.n_head_kv
    ]
    heads = max((each.n_head * (each.head_dim_k + each.head_dim_v) for each in shared), default=0)
    n_bytes = 0 if request.flash_attention else 2 * heads * request.context * request.parallel
    formula = f"2 B × {heads} × {request.context * request.parallel} tokens"
    return Term("compute", "one layer's cache, repeated", 0, n_bytes, n_bytes, formula, REPEAT_SOURCE)


def _prompt_term(model: Model, request: Request, at_once: int, unfilled: int) -> Term:
    """What reading the prompt takes beyond what comes later. unfilled: bytes that are taken only when it is read."""
    tokens = at_once * request.parallel
    width = max((_width(model, layer) for layer in model.layers), default=8 * model.n_embd)
    peak = 2 * tokens * (width + PROMPT_HIDDEN * model.n_embd)
    formula = f"2 B × {tokens} tokens × (3 × feed-forward + {PROMPT_HIDDEN} × {model.n_embd})"
    if request.flash_attention is False:
        heads = max((layer.attention.n_head for layer in model.layers if layer.attention), default=0)
        scores = EAGER_SCORE_BYTES * heads * at_once * tokens
        formula = f"max({formula}, {EAGER_SCORE_BYTES} B × {heads} heads × {at_once} × {tokens} scores)"
        peak = max(peak, scores)
    formula += f" − {unfilled} B that are only taken later"
    beyond = max(0, peak - unfilled)
    high = max(beyond, int(1.15 * peak) - unfilled)
    return Term("compute", "prompt activations", 0, beyond, high, formula, PROMPT_SOURCE)


def _untied(model: Model) -> tuple[Term, ...]:
    """FP8 files bring an output projection of their own, though the model's configuration ties it to the embedding."""
    if model.quant != "fp8" or not model.tied_embedding:
        return ()
    n_bytes = 2 * model.parameters.embedding
    formula = f"2 B × {model.parameters.embedding}"
    return (Term("weights", "output projection", 0, n_bytes, n_bytes, formula, UNTIED_SOURCE),)


def _dequantized(model: Model) -> tuple[Term, ...]:
    """GPTQ's kernels unpack one matrix at a time into a buffer as large as the largest."""
    largest = max((layer.ff_size * model.n_embd for layer in model.layers), default=0)
    if not model.quant.lower().startswith("gptq") or not largest:
        return ()
    return (exact("scratch", "unpacked matrix", 2 * largest, f"2 B × {largest}", DEQUANTIZED_SOURCE),)


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
