"""config.json's sizes as layers, per architecture."""

from dataclasses import replace

from labctl.models.hf_experts import feeds
from labctl.models.hf_numbers import Numbers
from labctl.models.hf_recurrent import recurrent
from labctl.models.layer import Attention, LatentAttention, Layer

MAX_LAYERS = 4096
_WINDOWED = ("sliding_attention", "chunked_attention", "local")
_RECURRENT = ("linear_attention", "mamba", "mamba2", "recurrent", "conv")
# Every n-th layer sees everything where the config does not list its layers (transformers' own defaults).
_WINDOW_PATTERN = {
    "gemma2": 2, "gemma3_text": 6, "gemma3": 6, "gemma3n_text": 5, "cohere2": 4, "gpt_oss": 2, "llama4_text": 4,
}  # fmt: skip
# These use their window in every layer.
_WINDOW_EVERYWHERE = frozenset({"mistral", "mixtral", "phi3", "phimoe", "starcoder2"})
_QWENS = frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl_text"})
# As transformers' own classes have it, where a config leaves it out.
DEFAULTS: dict[str, dict[str, object]] = {
    "gemma3_text": {
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208,
        "sliding_window": 4096,
    },
    "gemma2": {"head_dim": 256},
    "mistral": {"num_key_value_heads": 8},
    "mixtral": {"num_key_value_heads": 8},
    "jamba": {
        "attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2, "expert_layer_offset": 1,
        "num_experts": 16, "num_experts_per_tok": 2,
    },
}  # fmt: skip


def layers(numbers: Numbers, n_layers: int, *, known: bool) -> tuple[Layer, ...]:
    """One entry per layer. Raises `BadInput` for sizes without sense.

    known: the architecture's windows and recurrent layers are understood; otherwise every layer is taken to attend to
    everything, which is the most it can take.
    """
    mixers = _mixers(numbers, n_layers) if known else ("attention",) * n_layers
    windows = _windows(numbers, n_layers) if known else [None] * n_layers
    state = recurrent(numbers) if known else None
    attends = _attentions(numbers, n_layers) if "attention" in mixers or "both" in mixers else ()
    caches = n_layers - numbers.first("num_kv_shared_layers") if known else n_layers
    chunked = numbers.kind == "llama4_text"
    found = []
    for index, (mixer, (ff, experts)) in enumerate(zip(mixers, feeds(numbers, n_layers), strict=True)):
        attention = None
        if mixer in ("attention", "both"):
            window = windows[index]
            attention = replace(
                attends[index],
                window=window,
                chunked=chunked and window is not None,
                caches=index < caches,
            )
        found.append(
            Layer(
                attention=attention,
                recurrent=state[0] if state and mixer in ("recurrent", "both") else None,
                experts=experts,
                ff_size=ff,
            )
        )
    return tuple(found)


def _mixers(numbers: Numbers, n_layers: int) -> tuple[str, ...]:
    """What mixes tokens in each layer: attention, recurrent, both, or none."""
    kind = numbers.kind
    if kind.startswith("rwkv") or kind in ("mamba", "mamba2", "falcon_mamba"):
        return ("recurrent",) * n_layers
    if kind == "falcon_h1":
        return ("both",) * n_layers
    if pattern := numbers.values.get("hybrid_override_pattern"):
        names = {"M": "recurrent", "*": "attention"}
        return _filled([names.get(letter, "none") for letter in str(pattern)[:n_layers]], n_layers)
    if period := numbers.first("attn_layer_period"):
        offset = numbers.first("attn_layer_offset")
        return tuple("attention" if index % period == offset else "recurrent" for index in range(n_layers))
    attending = numbers.indices("full_attn_idxs")
    if attending is not None:
        return tuple("attention" if index in attending else "recurrent" for index in range(n_layers))
    if types := numbers.names("layer_types") or numbers.names("layers_block_type"):
        return _filled(
            ["recurrent" if each in _RECURRENT else "attention" for each in types[:n_layers]], n_layers
        )
    if every := numbers.first("full_attention_interval"):
        return tuple("attention" if (index + 1) % every == 0 else "recurrent" for index in range(n_layers))
    return ("attention",) * n_layers


def _filled(mixers: list[str], n_layers: int) -> tuple[str, ...]:
    """A list that is too short says nothing of the rest: attention is the most it can be."""
    return tuple(mixers) + ("attention",) * (n_layers - len(mixers))


def _attentions(numbers: Numbers, n_layers: int) -> tuple[Attention, ...]:
    heads = numbers.sizes(n_layers, "num_attention_heads", "n_head", "n_heads", "num_heads", default=1)
    hidden = numbers.first("hidden_size", "d_model", "n_embd")
    dims = numbers.first(
        "head_dim", "attention_head_dim", "kv_channels", "d_kv", default=hidden // max(1, *heads)
    )
    if numbers.values.get("kv_lora_rank"):
        latent = LatentAttention(
            kv_lora_rank=numbers.size("kv_lora_rank"),
            rope_head_dim=numbers.size("qk_rope_head_dim"),
            q_lora_rank=numbers.size("q_lora_rank", 0),
            nope_head_dim=numbers.size("qk_nope_head_dim"),
            v_head_dim=numbers.size("v_head_dim"),
        )
        cached = latent.kv_lora_rank + latent.rope_head_dim
        return tuple(Attention(each, 1, cached, latent.kv_lora_rank, latent=latent) for each in heads)
    names = ("num_key_value_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv")
    shared = [name for name in names if numbers.values.get(name) is not None]
    kv_heads = numbers.sizes(n_layers, *shared) if shared else heads
    if numbers.values.get("multi_query") is True and not shared:
        kv_heads = (1,) * n_layers
    return tuple(Attention(each, min(each, kv), dims, dims) for each, kv in zip(heads, kv_heads, strict=True))


def _windows(numbers: Numbers, n_layers: int) -> list[int | None]:
    window = numbers.first("sliding_window", "attention_chunk_size", "local_attention")
    if not window or numbers.values.get("use_sliding_window") is False:
        return [None] * n_layers
    return [window if each else None for each in _windowed(numbers, n_layers)]


def _windowed(numbers: Numbers, n_layers: int) -> list[bool]:
    kind, every_layer = numbers.kind, range(n_layers)
    if types := numbers.names("layer_types"):
        return [index < len(types) and types[index] in _WINDOWED for index in every_layer]
    if (rotated := numbers.indices("no_rope_layers")) is not None and kind == "llama4_text":
        flags = numbers.values["no_rope_layers"]
        if rotated:
            return [index < len(flags) and bool(flags[index]) for index in every_layer]
    if kind in _QWENS:
        return [index >= numbers.first("max_window_layers", default=n_layers) for index in every_layer]
    if (every := numbers.first("global_attn_every_n_layers")) > 0:
        return [index % every != 0 for index in every_layer]
    pattern = numbers.values.get("sliding_window_pattern")
    if isinstance(pattern, str) and pattern:  # LLLG
        return [pattern[index % len(pattern)] == "L" for index in every_layer]
    every = numbers.first(
        "sliding_window_pattern", "_sliding_window_pattern", default=_WINDOW_PATTERN.get(kind, 0)
    )
    if every:
        return [index % every != every - 1 for index in every_layer]
    return [kind in _WINDOW_EVERYWHERE] * n_layers
