"""One layer of a language model, in the terms that decide its memory."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): the cache holds one latent per token.

    kv_lora_rank + rope_head_dim elements are cached per token. q_lora_rank: 0 when queries are not compressed.
    """

    kv_lora_rank: int
    rope_head_dim: int
    q_lora_rank: int
    nope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True)
class Attention:
    """n_head_kv heads of head_dim_k + head_dim_v elements are cached per token, unless `latent` says otherwise.

    window: tokens that this layer sees back, None for all. chunked: the window is a fixed chunk (Llama 4), not sliding.
    caches: False when the layer reads another layer's cache (Gemma 3n's last layers), or keeps none (encoders).
    """

    n_head: int
    n_head_kv: int
    head_dim_k: int
    head_dim_v: int
    window: int | None = None
    chunked: bool = False
    latent: LatentAttention | None = None
    caches: bool = True


@dataclass(frozen=True)
class Recurrent:
    """State of fixed size per sequence, in elements (llama.cpp keeps them in F32).

    conv_elements: the rolling window before the scan (token shift in RWKV). state_elements: the scan's own state.
    kind: mamba, mamba2, rwkv6, rwkv7, shortconv (LFM2) or gated-delta-net (Qwen3-Next).
    """

    kind: str
    conv_elements: int
    state_elements: int


@dataclass(frozen=True)
class Experts:
    """count routed experts of ff_size, `used` of them per token; shared_ff_size: of the shared ones together."""

    count: int
    used: int
    ff_size: int
    shared_ff_size: int = 0


@dataclass(frozen=True)
class Layer:
    """What one block holds; a hybrid layer (Falcon-H1) has attention and recurrent both.

    ff_size: of the dense feed-forward, 0 if none. loaded: False for parts that engines leave in the file
    (multi-token prediction).
    """

    attention: Attention | None = None
    recurrent: Recurrent | None = None
    experts: Experts | None = None
    ff_size: int = 0
    loaded: bool = True
