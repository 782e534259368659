"""GGUF metadata and tensor names as layers, per architecture. What a layer is shows in the tensors it has."""

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from labctl.errors import BadInput
from labctl.models.layer import Attention, Experts, LatentAttention, Layer, Recurrent
from labctl.models.metadata import Metadata

# Every n-th layer sees everything, the others a window (llama.cpp src/models/*.cpp, load_swa_pattern). Phi-3 and
# Mistral carry a window in their metadata that llama.cpp ignores.
_WINDOW_PATTERN = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "gemma4": 6, "gemma-embedding": 6, "gpt-oss": 2, "cohere2": 4,
    "llama4": 4, "exaone4": 4, "olmo2": 4,
}  # fmt: skip
_DEFAULT_WINDOW = {"gemma2": 4096, "llama4": 8192}
# Gemma 3n: the first 20 layers keep a cache, the rest read theirs (llama.cpp src/models/gemma3n.cpp).
_GEMMA_3N_CACHES = 20
MAX_EXPERTS_USED = 256
# They read a text once, in both directions, and keep nothing of it.
ENCODERS = frozenset({
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert",
    "t5encoder", "gemma-embedding", "llama-embed",
})  # fmt: skip
_DELTA_NET = frozenset({"qwen3next", "qwen35", "qwen35moe"})


def layers(architecture: str, metadata: Metadata, tensors: Iterable[str], n_layers: int) -> tuple[Layer, ...]:
    """One entry per block. Raises `BadInput` where metadata cannot be meant."""
    parts = _parts(tensors)
    unloaded = metadata.size("nextn_predict_layers", 0)
    windows = _windows(architecture, metadata, n_layers)
    attentions = _attentions(architecture, metadata, n_layers, windows)
    experts = _experts(metadata, n_layers)
    ff = metadata.sizes("feed_forward_length", n_layers, 0)
    recurrent = _recurrent(architecture, metadata)
    return tuple(
        Layer(
            attention=attentions[layer] if _attends(parts[layer]) else None,
            recurrent=recurrent if _recurs(parts[layer]) else None,
            experts=experts[layer] if any("_exps" in part for part in parts[layer]) else None,
            ff_size=ff[layer] if any(part in ("ffn_up", "channel_mix_key") for part in parts[layer]) else 0,
            loaded=layer < n_layers - unloaded,
        )
        for layer in range(n_layers)
    )


def _parts(tensors: Iterable[str]) -> defaultdict[int, set[str]]:
    """Layer → names within it, as `attn_q`."""
    parts: defaultdict[int, set[str]] = defaultdict(set)
    for name in tensors:
        words = name.split(".")
        if words[0] == "blk" and len(words) > 2 and words[1].isdecimal() and len(words[1]) < 6:
            parts[int(words[1])].add(".".join(words[2:-1]) or words[2])
    return parts


def _recurs(parts: AbstractSet[str]) -> bool:
    return any(part.startswith(("ssm_", "shortconv.", "time_mix_")) for part in parts)


def _attends(parts: AbstractSet[str]) -> bool:
    if parts & {"attn_k", "attn_kv_a_mqa"}:
        return True
    return "attn_qkv" in parts and not _recurs(parts)


def _windows(architecture: str, metadata: Metadata, n_layers: int) -> tuple[int | None, ...]:
    pattern = _WINDOW_PATTERN.get(architecture)
    window = metadata.size("attention.sliding_window", _DEFAULT_WINDOW.get(architecture, 0))
    flags = metadata.flags("attention.sliding_window_pattern")
    if architecture == "llama4" and window:
        window = _DEFAULT_WINDOW["llama4"]
    if not window or (pattern is None and flags is None):
        return (None,) * n_layers
    if flags is not None:
        flags = (flags + (False,) * n_layers)[:n_layers]
        return tuple(window if flag else None for flag in flags)
    every = metadata.size("attention.sliding_window_pattern", pattern)
    return tuple(None if every and layer % every == every - 1 else window for layer in range(n_layers))


def _attentions(
    architecture: str, metadata: Metadata, n_layers: int, windows: tuple[int | None, ...]
) -> tuple[Attention, ...]:
    heads = metadata.sizes("attention.head_count", n_layers, 0)
    kv_heads = metadata.sizes("attention.head_count_kv", n_layers, heads[0] if heads else 0)
    embedding = metadata.size("embedding_length", 0)
    per_head = embedding // max(1, *heads) if heads else 0
    key, value = (
        metadata.size("attention.key_length", per_head),
        metadata.size("attention.value_length", per_head),
    )
    key_window = metadata.size("attention.key_length_swa", key)
    value_window = metadata.size("attention.value_length_swa", value)
    latent = _latent(metadata, key, value)
    shared = metadata.size("attention.shared_kv_layers", 0)
    caches = n_layers - shared if shared else n_layers
    if architecture in ENCODERS:
        caches = 0
    if architecture == "gemma3n":
        caches = min(caches, _GEMMA_3N_CACHES)
    return tuple(
        Attention(
            n_head=heads[layer],
            n_head_kv=kv_heads[layer],
            head_dim_k=key_window if windows[layer] else key,
            head_dim_v=value_window if windows[layer] else value,
            window=windows[layer],
            chunked=architecture == "llama4" and windows[layer] is not None,
            latent=latent,
            caches=layer < caches,
        )
        for layer in range(n_layers)
    )


def _latent(metadata: Metadata, key: int, value: int) -> LatentAttention | None:
    """Only where the file was made for it: older DeepSeek files keep full heads."""
    if not metadata.has("attention.key_length_mla"):
        return None
    rope = metadata.size("rope.dimension_count", 64)
    return LatentAttention(
        kv_lora_rank=metadata.size("attention.kv_lora_rank", value),
        rope_head_dim=rope,
        q_lora_rank=metadata.size("attention.q_lora_rank", 0),
        nope_head_dim=max(0, metadata.size("attention.key_length_mla", key) - rope),
        v_head_dim=metadata.size("attention.value_length_mla", value),
    )


def _experts(metadata: Metadata, n_layers: int) -> tuple[Experts, ...]:
    count = metadata.size("expert_count", 0)
    used = metadata.sizes("expert_used_count", n_layers, 0)
    ff = metadata.sizes("feed_forward_length", n_layers, 0)
    sizes = metadata.sizes("expert_feed_forward_length", n_layers, 0)
    shared = metadata.size("expert_shared_feed_forward_length", 0)
    shared_count = metadata.size("expert_shared_count", 0)
    if max(used, default=0) > min(count, MAX_EXPERTS_USED):
        raise BadInput(
            "more experts are used than there can be",
            where=f"{metadata.where}: {metadata.prefix}.expert_used_count",
            found=str(max(used)),
            expected=f"at most expert_count ({count}) and {MAX_EXPERTS_USED}",
            hint="the header is damaged",
        )
    return tuple(
        Experts(count, used[layer], sizes[layer] or ff[layer], shared or shared_count * sizes[layer])
        for layer in range(n_layers)
    )


def _recurrent(architecture: str, metadata: Metadata) -> Recurrent | None:
    """State per sequence, in elements: facts/estimation and llama.cpp src/llama-hparams.cpp (n_embd_r, n_embd_s)."""
    embedding = metadata.size("embedding_length", 0)
    if metadata.has("wkv.head_size"):
        shift = metadata.size("token_shift_count", 2)
        kind = "rwkv6" if "6" in architecture else "rwkv7"
        return Recurrent(kind, shift * embedding, embedding * metadata.size("wkv.head_size"))
    if metadata.has("shortconv.l_cache"):
        return Recurrent("shortconv", embedding * max(0, metadata.size("shortconv.l_cache") - 1), 0)
    if not metadata.has("ssm.inner_size"):
        return None
    inner, state = metadata.size("ssm.inner_size"), metadata.size("ssm.state_size")
    groups = metadata.size("ssm.group_count", 0)
    conv = max(0, metadata.size("ssm.conv_kernel") - 1) * (inner + 2 * groups * state)
    if architecture in _DELTA_NET:
        return Recurrent("gated-delta-net", conv, state * inner)
    return Recurrent("mamba2" if groups else "mamba", conv, state * inner)
