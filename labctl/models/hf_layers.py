"""config.json's sizes as layers."""

from labctl.models.hf_numbers import Numbers
from labctl.models.layer import Attention, Experts, LatentAttention, Layer, Recurrent

MAX_LAYERS = 4096
_WINDOWED = ("sliding_attention", "chunked_attention")
_LINEAR = ("linear_attention", "mamba", "recurrent", "conv")
# Every n-th layer sees everything where the config does not list its layers (transformers' own defaults).
_WINDOW_PATTERN = {"gemma2": 2, "gemma3_text": 6, "gemma3": 6, "cohere2": 4, "gpt_oss": 2}
# These use their window in every layer.
_WINDOW_EVERYWHERE = frozenset({"mistral", "mixtral", "phi3", "starcoder2"})


def layers(numbers: Numbers, n_layers: int) -> tuple[tuple[Layer, ...], bool]:
    """One entry per layer, and whether all that was asked for is known. Raises `BadInput` for sizes without sense."""
    attends, latent = _attention(numbers)
    types = numbers.names("layer_types")
    windows = _windows(numbers, n_layers, types)
    experts, ff = _experts(numbers), numbers.first("intermediate_size", "n_inner", "ffn_dim")
    dense_first = numbers.first("first_k_dense_replace", default=0)
    every = max(1, numbers.first("decoder_sparse_step", "interleave_moe_layer_step", default=1))
    linear = _linear(numbers)
    found = []
    for index in range(n_layers):
        is_linear = index < len(types) and types[index] in _LINEAR
        sparse = experts is not None and index >= dense_first and (index + 1) % every == 0
        found.append(
            Layer(
                attention=None if is_linear else _with_window(attends, windows[index], latent),
                recurrent=linear if is_linear else None,
                experts=experts if sparse else None,
                ff_size=0 if sparse else ff,
            )
        )
    known = linear is not None or not any(kind in _LINEAR for kind in types)
    return tuple(found), known and bool(numbers.values.get("num_attention_heads"))


def _attention(numbers: Numbers) -> tuple[Attention, LatentAttention | None]:
    heads = numbers.first("num_attention_heads", "n_head", default=1) or 1
    head_dim = numbers.first("head_dim", default=0) or numbers.size("hidden_size") // heads
    latent = None
    if numbers.values.get("kv_lora_rank"):
        latent = LatentAttention(
            kv_lora_rank=numbers.size("kv_lora_rank"),
            rope_head_dim=numbers.size("qk_rope_head_dim"),
            q_lora_rank=numbers.size("q_lora_rank", 0),
            nope_head_dim=numbers.size("qk_nope_head_dim"),
            v_head_dim=numbers.size("v_head_dim"),
        )
        cached = latent.kv_lora_rank + latent.rope_head_dim
        return Attention(heads, 1, cached, latent.kv_lora_rank), latent
    kv_heads = numbers.first("num_key_value_heads", "num_kv_heads", default=heads)
    return Attention(heads, kv_heads, head_dim, head_dim), None


def _with_window(attends: Attention, window: int | None, latent: LatentAttention | None) -> Attention:
    return Attention(
        attends.n_head,
        attends.n_head_kv,
        attends.head_dim_k,
        attends.head_dim_v,
        window=window,
        latent=latent,
    )


def _windows(numbers: Numbers, n_layers: int, types: tuple[str, ...]) -> list[int | None]:
    window = numbers.first("sliding_window", "attention_chunk_size", default=0)
    if not window or numbers.values.get("use_sliding_window") is False:
        return [None] * n_layers
    if types:
        return [
            window if index < len(types) and types[index] in _WINDOWED else None for index in range(n_layers)
        ]
    kind = str(numbers.values.get("model_type"))
    every = numbers.first("sliding_window_pattern", default=_WINDOW_PATTERN.get(kind, 0))
    if every:
        return [None if index % every == every - 1 else window for index in range(n_layers)]
    return [window if kind in _WINDOW_EVERYWHERE else None] * n_layers


def _experts(numbers: Numbers) -> Experts | None:
    count = numbers.first("num_local_experts", "num_experts", "n_routed_experts", default=0)
    if not count:
        return None
    size = numbers.first("moe_intermediate_size", "intermediate_size")
    shared = numbers.first("shared_expert_intermediate_size", "shared_intermediate_size", default=0)
    shared = shared or size * numbers.first("n_shared_experts", "num_shared_experts", default=0)
    used = min(count, numbers.first("num_experts_per_tok", "moe_topk", default=count))
    return Experts(count, used, size, shared)


def _linear(numbers: Numbers) -> Recurrent | None:
    """Gated delta net (Qwen3-Next); other linear layers are not read from config.json."""
    if not numbers.values.get("linear_num_value_heads"):
        return None
    values = numbers.size("linear_num_value_heads") * numbers.size("linear_value_head_dim")
    keys = numbers.size("linear_num_key_heads") * numbers.size("linear_key_head_dim")
    conv = max(0, numbers.size("linear_conv_kernel_dim") - 1) * (values + 2 * keys)
    return Recurrent("gated-delta-net", conv, values * numbers.size("linear_key_head_dim"))
