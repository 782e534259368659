"""Attention and feed-forward as steps of the graph, driven by the tensors that a layer has.

Follows src/llama-graph.cpp (build_attn*, build_ffn, build_moe_ffn) and src/models/*.cpp. Steps that overwrite their
only reader's input (biases, scales) change nothing and are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.estimate.llama_cpp.graph import Graph, Value
from labctl.estimate.llama_cpp.inputs import F16_BYTES, F32_BYTES, Inputs
from labctl.models.ggml_types import GgmlType
from labctl.models.layer import Attention, Experts, LatentAttention
from labctl.models.model import Tensor

# These norm before the last projection, or run attention and feed-forward side by side.
PARALLEL = frozenset({"command-r", "cohere2", "falcon", "phi2", "gptneox", "stablelm"})
# Plain layer norms cannot overwrite what they read, root-mean-square norms can.
LAYER_NORM = frozenset({"command-r", "cohere2", "rwkv6", "rwkv7", "phi2", "falcon", "bert", "nomic-bert"})
# The chosen experts' weights are brought to a sum of one; others say so in expert_weights_norm.
NORMED = frozenset({"llama", "qwen3moe", "qwen3next", "qwen35moe", "granitemoe", "granitehybrid"})


class UnknownLayer(Exception):
    """A layer without the tensors that its kind has: it is estimated from all that it does have."""


@dataclass(frozen=True)
class Block:
    """One layer to be built. parts: its tensors by name. place: where they are; experts_place: the routed ones'.

    n_outputs: rows that are wanted.
    """

    graph: Graph
    parts: Mapping[str, Tensor]
    place: int
    experts_place: int
    n_tokens: int
    n_outputs: int
    n_embd: int
    flash_attention: bool
    inputs: Inputs
    windowed: bool
    weights_normed: bool
    softmax_last: bool
    logits_ranked: bool
    layer_norm: bool
    cache_types: tuple[GgmlType, GgmlType]
    cache_place: int
    n_streams: int

    def f32(self, width: int) -> int:
        """Bytes of one F32 row per token."""
        return width * self.n_tokens * F32_BYTES

    @property
    def wanted(self) -> "Block":
        """The same for the rows that are wanted."""
        return replace(self, n_tokens=self.n_outputs)

    def columns(self, value: Value, width: int) -> Value:
        """Some columns of every row, with the gaps between them."""
        row = self.graph.n_bytes[value] // self.n_tokens
        return self.graph.view((self.n_tokens - 1) * row + width * F32_BYTES, value)

    def reshaped(self, value: Value) -> Value:
        """The same numbers in another shape."""
        return self.graph.view(self.graph.n_bytes[value], value)

    def cache(self, kind: GgmlType, cells: int, width: int, *, columns: int | None = None) -> Value:
        """Keys or values of all streams, or some columns of them. Flash attention reads F16 where they are F32."""
        rows = cells * self.n_streams
        cached = self.graph.cache(self.cache_place, kind.row_bytes(rows * width))
        if self.flash_attention and kind.name == "f32":
            return self.graph.op(None, rows * (columns or width) * F16_BYTES, cached)
        return cached

    def size(self, part: str, axis: int) -> int:
        """One dimension of a tensor. Raises `UnknownLayer` when the layer has no such tensor."""
        tensor = self.parts.get(part)
        if tensor is None or len(tensor.shape) <= axis:
            raise UnknownLayer(part)
        return tensor.shape[axis]

    def width(self, part: str) -> int:
        """What a matrix makes of each token."""
        return self.size(part, 1)

    def project(self, part: str, *reads: Value) -> Value:
        """A matrix applied to each token."""
        width, weight = self.f32(self.width(part)), self.parts[part].name
        return self.graph.op(self.place, width, *reads, weight=weight)

    def norm(self, value: Value) -> Value:
        """Normalised, then weighted: the second step has the weight and so a place of its own."""
        graph = self.graph
        plain = graph.op(None, graph.n_bytes[value], value) if self.layer_norm else graph.over(None, value)
        return graph.over(self.place, plain)


def attention(block: Block, attends: Attention, normed: Value, cells: int) -> Value:
    """The heads' results, before the output projection. cells: of all streams that a token looks at."""
    if attends.latent:
        return _latent_attention(block, attends, attends.latent, normed, cells)
    graph, width = block.graph, attends.head_dim_k * attends.n_head
    gate: Value | None = None
    if "attn_qkv" in block.parts:
        fused = block.project("attn_qkv", normed)
        query = graph.op(None, block.f32(width), *_with_positions(block, attends, fused))
        key = graph.op(
            None, block.f32(attends.n_head_kv * attends.head_dim_k), *_with_positions(block, attends, fused)
        )
        value = fused
    else:
        asked = block.project("attn_q", normed)
        query = _heads(block, attends, asked, "attn_q_norm", block.f32(width))
        value, key = query, query
        if block.width("attn_q") == 2 * width:  # half of it is a gate
            gate = graph.over(None, graph.op(None, block.f32(width), block.columns(asked, 2 * width)))
        if attends.caches:
            value, key = block.project("attn_v", normed), block.project("attn_k", normed)
            key = _heads(block, attends, key, "attn_k_norm", graph.n_bytes[key])
            if "laurel_l" in block.parts:  # Gemma 3n norms values, too
                value = graph.op(None, graph.n_bytes[value], value)
    query = _turn(graph, query, block.inputs.key_turns.get(attends.window))
    graph.expand(query)
    if attends.caches:
        value = _turn(
            graph,
            value,
            block.inputs.value_turns.get(attends.window),
            block.f32(attends.n_head_kv * attends.head_dim_v),
        )
        key = _turn(graph, key, block.inputs.key_turns.get(attends.window))
        graph.expand(*((key, value) if block.windowed else (value, key)))
        graph.store(block.cache_place, key, block.inputs.key_rows[attends.window])
        graph.store(block.cache_place, value, block.inputs.value_rows[attends.window])
    found = attend(block, attends, query, cells)
    if gate is None:
        return found
    return graph.over(None, block.reshaped(found) if block.flash_attention else found, gate)


def _heads(block: Block, attends: Attention, value: Value, norm: str, n_bytes: int) -> Value:
    """Normed, if there is a norm, and rotated. The first of these reads through a view, so it has its own memory."""
    if norm in block.parts:
        value = block.graph.over(block.place, block.graph.op(None, n_bytes, value))
    positions = block.inputs.positions.get(attends.window)
    if positions is None:
        return value
    if norm in block.parts:
        return block.graph.over(None, value, positions)
    return block.graph.op(None, n_bytes, value, positions)


def attend(block: Block, attends: Attention, query: Value, cells: int) -> Value:
    """Attention over a cache. Without flash attention every score of every head is kept."""
    graph, mask = block.graph, block.inputs.masks[attends.window]
    out = block.f32(attends.n_head * attends.head_dim_v)
    keys, values = (
        block.cache(kind, cells, attends.n_head_kv * width)
        for kind, width in zip(block.cache_types, (attends.head_dim_k, attends.head_dim_v), strict=True)
    )
    if block.flash_attention:
        found = graph.op(None, out, query, keys, values, mask)
    else:
        scores = graph.op(None, block.f32(cells * attends.n_head), keys, query)
        found = graph.op(None, out, graph.op(None, out, values, graph.over(None, scores, mask)))
    graph.expand(found)
    return _turn(graph, found, block.inputs.value_turns.get(attends.window))


def _turn(graph: Graph, value: Value, turn: Value | None, n_bytes: int | None = None) -> Value:
    """Quantized caches hold rotated heads: what goes in, what asks and what comes out is multiplied by a matrix."""
    if turn is None:
        return value
    return graph.op(None, graph.n_bytes[value] if n_bytes is None else n_bytes, turn, value)


def _with_positions(block: Block, attends: Attention, value: Value) -> tuple[Value, ...]:
    positions = block.inputs.positions.get(attends.window)
    return (value,) if positions is None else (value, positions)


def _latent_attention(
    block: Block, attends: Attention, latent: LatentAttention, normed: Value, cells: int
) -> Value:
    """Queries are absorbed into the latent's space, one shared head is cached (src/models/deepseek2.cpp)."""
    graph, heads = block.graph, attends.n_head
    if "attn_q_a" in block.parts:
        query = block.project("attn_q_b", block.norm(block.project("attn_q_a", normed)))
    else:
        query = block.project("attn_q", normed)
    absorbed = graph.op(block.place, block.f32(latent.kv_lora_rank * heads), query)
    rotated = graph.op(None, block.f32(latent.rope_head_dim * heads), *_with_positions(block, attends, query))
    query = graph.op(None, block.f32((latent.kv_lora_rank + latent.rope_head_dim) * heads), absorbed, rotated)
    compressed = block.project("attn_kv_a_mqa", normed)
    cached = graph.over(block.place, graph.op(None, block.f32(latent.kv_lora_rank), compressed))
    rotated = graph.op(None, block.f32(latent.rope_head_dim), *_with_positions(block, attends, compressed))
    key = graph.op(None, block.f32(latent.kv_lora_rank + latent.rope_head_dim), cached, rotated)
    graph.expand(query, key)
    graph.store(block.cache_place, key, block.inputs.key_rows[attends.window])
    width = latent.kv_lora_rank + latent.rope_head_dim  # values are the keys' first columns
    keys = block.cache(block.cache_types[0], cells, width)
    values = block.cache(block.cache_types[0], cells, width, columns=latent.kv_lora_rank)
    mask, out = block.inputs.masks[attends.window], block.f32(latent.kv_lora_rank * heads)
    if block.flash_attention:
        found = graph.op(None, out, query, keys, values, mask)
    else:
        columns = cells * block.n_streams * latent.kv_lora_rank
        values = graph.op(None, block.cache_types[0].row_bytes(columns), values)
        scores = graph.op(None, block.f32(cells * heads), keys, query)
        found = graph.op(None, out, values, graph.over(None, scores, mask))
    values = graph.op(block.place, block.f32(latent.v_head_dim * heads), found)
    result = graph.op(None, block.f32(latent.v_head_dim * heads), values)
    graph.expand(result)
    return result


def feed_forward(block: Block, normed: Value, suffix: str = "") -> Value:
    """Gate and up side by side, or in one matrix; without a gate the activation overwrites."""
    graph, up = block.graph, f"ffn_up{suffix}"
    down_width = block.size(f"ffn_down{suffix}", 0)
    if f"ffn_gate{suffix}" in block.parts:
        gate = block.project(f"ffn_gate{suffix}", normed)
        active = graph.op(None, block.f32(down_width), gate, block.project(up, normed))
    elif block.width(up) == 2 * down_width:
        active = graph.op(None, block.f32(down_width), block.project(up, normed))
    else:
        active = graph.over(None, block.project(up, normed))
    return block.project(f"ffn_down{suffix}", active)


def mixture(block: Block, experts: Experts, normed: Value) -> Value:
    """The router, the routed experts, the shared ones. With experts on the host their products cross back."""
    graph, used = block.graph, max(1, experts.used)
    chosen, weights = _route(block, experts, normed)
    place, ff = block.experts_place, block.size("ffn_down_exps", 0)
    product, read = block.f32(used * ff), normed
    block.size("ffn_up_exps" if "ffn_gate_up_exps" not in block.parts else "ffn_gate_up_exps", 0)
    if block.size("ffn_down_exps", 1) != block.n_embd or used == 1:
        read = graph.over(None, graph.op(None, block.f32(block.n_embd), normed), weights)

    def routed(part: str, n_bytes: int, value: Value) -> Value:
        return graph.op(place, n_bytes, value, chosen, weight=block.parts[part].name)

    if "ffn_gate_up_exps" in block.parts:
        active = graph.op(None, product, routed("ffn_gate_up_exps", 2 * product, read))
    elif "ffn_gate_exps" in block.parts:
        gate = routed("ffn_gate_exps", product, read)
        active = graph.op(None, product, gate, routed("ffn_up_exps", product, read))
    else:
        active = graph.over(None, routed("ffn_up_exps", product, read))
    products = routed("ffn_down_exps", block.f32(used * block.n_embd), active)
    if used == 1:
        out = graph.op(None, block.f32(block.n_embd), products)
    else:
        products = graph.over(None, products, weights)
        graph.expand(products)
        out = graph.op(None, block.f32(block.n_embd), products, products)
        for _ in range(used - 2):
            out = graph.over(None, out, products)
        graph.expand(out)
    if "ffn_down_shexp" in block.parts:
        shared = feed_forward(block, normed, "_shexp")
        if "ffn_gate_inp_shexp" in block.parts:
            share = graph.over(None, graph.op(block.place, block.f32(1), normed))
            shared = graph.over(None, shared, share)
        out = graph.over(None, out, shared)
    return out


def _route(block: Block, experts: Experts, normed: Value) -> tuple[Value, Value]:
    """Which experts, and how much of each."""
    graph = block.graph
    logits = graph.op(block.place, block.f32(experts.count), normed)
    scores = graph.over(None, logits)
    ranked = logits if block.logits_ranked else scores
    if "exp_probs_b" in block.parts:
        ranked = graph.op(block.place, block.f32(experts.count), ranked)
    chosen = graph.op(None, block.f32(experts.count), ranked)
    weights = graph.op(None, block.f32(max(1, experts.used)), scores, chosen)
    if block.weights_normed:
        total = graph.op(None, block.f32(1), weights)
        weights = graph.op(None, graph.n_bytes[weights], weights, total)
    elif block.softmax_last:
        weights = graph.op(None, graph.n_bytes[weights], weights)
    graph.expand(weights)
    return chosen, weights
