"""vLLM's KV cache: one pool of blocks, which groups of equally many layers share.

Layers of one kind (full attention, a window, a recurrent state) form groups; a block of the pool serves one layer of
every group in turn, so all groups have as many layers and the pages are equally large. Rounding up costs memory that
no layer asked for, and vLLM stops at start when the pool is short of it.
"""

from collections import Counter
from dataclasses import dataclass

from labctl.estimate.claim import MIB, Request
from labctl.models.layer import Layer
from labctl.models.model import Model

SOURCE = (
    "vLLM KVCacheSpec: block × KV heads × (key + value size) × bytes, one tensor for MLA; groups and the null block: "
    "_get_kv_cache_groups_uniform_page_size and BlockPool, https://github.com/vllm-project/vllm/tree/001cabc1/vllm/v1"
)
BLOCK_TOKENS = 16
# FlashMLA's kernels take blocks of no other size.
LATENT_BLOCK_TOKENS = 64
# BlockPool takes the first block for itself: what slid out of a window points at it.
NULL_BLOCKS = 1
# --max-num-batched-tokens of the server on cards below 70 GiB; 8192 above.
SMALL_CARD_TOKENS, LARGE_CARD_TOKENS, LARGE_CARD_BYTES = 2048, 8192, 70 * 1024 * MIB
KV_ELEMENT_BYTES = {
    "auto": 2, "f16": 2, "bf16": 2, "fp32": 4, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "q8_0": 1,
}  # fmt: skip
# What --kv-cache-dtype=auto stands for: "will use model data type", vllm/config/cache.py of 0.30.0.
_AS_THE_WEIGHTS = ("auto", "f16", "bf16")
FP8_LATENT_BYTES = 656


@dataclass(frozen=True)
class Pool:
    """How the cache is cut, on one rank. block_bytes: 0 for a model that caches nothing.

    blocks_per_request: for `context` tokens, all groups together. block_tokens: how many tokens of a request each block
    holds, None where windows or states make that differ.
    """

    block_bytes: int
    blocks_per_request: int
    block_tokens: int | None = None

    def bytes_for(self, requests: int) -> int:
        """What --kv-cache-memory-bytes must be at least."""
        return (requests * self.blocks_per_request + NULL_BLOCKS) * self.block_bytes

    def requests_in(self, n_bytes: int) -> int:
        """How many requests of `context` tokens fit at once."""
        return self._blocks_in(n_bytes) // self.blocks_per_request if self.blocks_per_request else 0

    def tokens_in(self, n_bytes: int, context: int) -> int:
        """How many tokens fit, all requests together; in whole requests where a block holds no fixed number."""
        if self.block_tokens is None:
            return self.requests_in(n_bytes) * context
        return self._blocks_in(n_bytes) * self.block_tokens

    def _blocks_in(self, n_bytes: int) -> int:
        return max(0, n_bytes // self.block_bytes - NULL_BLOCKS) if self.block_bytes else 0


@dataclass(frozen=True)
class _Kind:
    """Layers that share a block table. token_bytes, window: 0 for recurrent ones, and for none."""

    token_bytes: int
    window: int = 0
    chunked: bool = False

    def blocks(self, context: int, batched: int, block_tokens: int) -> int:
        """For one request: a window is kept while a whole batch more comes in, and may begin inside a block."""
        if not self.token_bytes:
            # One state per request; --enable-prefix-caching, off for these models, would keep more.
            return 1
        if not self.window:
            return -(-context // block_tokens)
        if self.chunked:
            return -(-min(self.window + batched, context) // block_tokens)
        return -(-min(self.window - 1 + batched, context) // block_tokens) + 1


def batched_tokens(request: Request) -> int:
    """--max-num-batched-tokens: as asked for, else the server's default for the smallest card."""
    if request.batch:
        return request.batch
    smallest = min(request.card_memory_bytes, default=0)
    return LARGE_CARD_TOKENS if smallest >= LARGE_CARD_BYTES else SMALL_CARD_TOKENS


def layer_token_bytes(layer: Layer, tensor_parallel: int, kv_type: str) -> int:
    """Bytes that one token takes in the cache of one layer, on one rank; 0 for layers without a cache of their own."""
    attention = layer.attention
    if attention is None or not attention.caches or not layer.loaded:
        return 0
    element = KV_ELEMENT_BYTES.get(kv_type, 2)
    if attention.latent:
        if element == 1:
            return FP8_LATENT_BYTES
        return (attention.latent.kv_lora_rank + attention.latent.rope_head_dim) * element
    heads = max(1, attention.n_head_kv // tensor_parallel)
    return heads * (attention.head_dim_k + attention.head_dim_v) * element


def pool_tokens(model: Model, cache_bytes: int, tensor_parallel: int, kv_type: str = "auto") -> int:
    """The "GPU KV cache size" of vLLM's log, null block included, for a model whose layers all cache every token."""
    stored = _stored_as(model, kv_type)
    per_token = sum(layer_token_bytes(layer, tensor_parallel, stored) for layer in model.layers)
    if per_token == 0:
        return 0
    return max(0, cache_bytes) // (per_token * BLOCK_TOKENS) * BLOCK_TOKENS


def cache_bytes(model: Model, request: Request) -> int:
    """Bytes of KV cache on one rank that hold `parallel` requests of `context` tokens each."""
    return pool(model, request).bytes_for(request.parallel)


def pool(model: Model, request: Request) -> Pool:
    """How vLLM cuts the cache of this model for requests of `context` tokens."""
    kinds = _kinds(model, request)
    states = _state_bytes(model, request.tensor_parallel)
    if not kinds and not states:
        return Pool(0, 0)
    latent = any(layer.attention and layer.attention.latent for layer in model.layers)
    block_tokens = LATENT_BLOCK_TOKENS if latent else BLOCK_TOKENS
    if not states and (len({(kind.window, kind.chunked) for kind in kinds}) == 1 or not _alike(kinds)):
        return _one_group(kinds, request, block_tokens)
    widest = max((kind.token_bytes for kind in kinds), default=0)
    page = max(states, default=0)
    if widest:
        # Blocks of attention grow until a page holds a state; the state's page is then padded to theirs.
        block_tokens *= max(1, -(-page // (widest * block_tokens)))
        page = widest * block_tokens
    layers = kinds + Counter({_Kind(0): len(states)})
    group_size = _group_size(list(layers.values()))
    batched = batched_tokens(request)
    blocks = 0
    for kind, count in layers.items():
        # Narrower layers get more tokens per block, so that their pages are as large.
        tokens = block_tokens * (widest // kind.token_bytes) if kind.token_bytes else block_tokens
        blocks += -(-count // group_size) * kind.blocks(request.context, batched, tokens)
    return Pool(group_size * page, blocks)


def _stored_as(model: Model, kv_type: str) -> str:
    """Numbers of four bytes are kept as such: vLLM narrows them only where it is told to."""
    return "fp32" if model.quant == "fp32" and kv_type in _AS_THE_WEIGHTS else kv_type


def _kinds(model: Model, request: Request) -> Counter[_Kind]:
    found: Counter[_Kind] = Counter()
    stored = _stored_as(model, request.kv_type_k)
    for layer in model.layers:
        token_bytes = layer_token_bytes(layer, request.tensor_parallel, stored)
        if token_bytes and layer.attention:
            found[_Kind(token_bytes, layer.attention.window or 0, layer.attention.chunked)] += 1
    return found


def _state_bytes(model: Model, tensor_parallel: int) -> list[int]:
    """Per recurrent layer, in FP32: a model's config may ask for that, and none asks for more."""
    return [
        4 * (layer.recurrent.conv_elements + layer.recurrent.state_elements) // tensor_parallel
        for layer in model.layers
        if layer.recurrent and layer.loaded
    ]


def _alike(kinds: Counter[_Kind]) -> bool:
    """Whether pages can be made equally large; if not, vLLM has no groups and every layer caches every token."""
    widest = max(kind.token_bytes for kind in kinds)
    return all(widest % kind.token_bytes == 0 for kind in kinds)


def _one_group(kinds: Counter[_Kind], request: Request, block_tokens: int) -> Pool:
    block_bytes = block_tokens * sum(kind.token_bytes * count for kind, count in kinds.items())
    batched = batched_tokens(request)
    blocks = max(kind.blocks(request.context, batched, block_tokens) for kind in kinds)
    windowed = all(kind.window for kind in kinds)
    return Pool(block_bytes, blocks, None if windowed else block_tokens)


def _group_size(counts: list[int]) -> int:
    """Layers per group: as many as the rarest kind has, or the commonest when padding up to it wastes less."""
    return max(counts) if max(counts) < 1.5 * min(counts) else min(counts)
