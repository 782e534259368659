"""The graph that the engine reserves for: a full micro-batch, every token with logits (src/llama-context.cpp)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.altup import SPARSE_LAYERS, altup_layer, merged, per_layer, stacked
from labctl.estimate.llama_cpp.graph import HOST, Graph, Value
from labctl.estimate.llama_cpp.inputs import F32_BYTES, INDEX_BYTES, ROW_BYTES, Inputs, read_by_layers
from labctl.estimate.llama_cpp.kv_cache import Batch, cells, kv_type
from labctl.estimate.llama_cpp.layout import Layout
from labctl.estimate.llama_cpp.recurrent import recurrent
from labctl.estimate.llama_cpp.rwkv import FirstValue, rwkv6, rwkv7
from labctl.estimate.llama_cpp.transformer import (
    LAYER_NORM,
    NORMED,
    PARALLEL,
    Block,
    UnknownLayer,
    attention,
    feed_forward,
    mixture,
)
from labctl.estimate.llama_cpp.weights import split_name
from labctl.models.layer import Layer
from labctl.models.model import Model, Tensor

# Their sums overwrite what came into the layer, not what the layer adds.
RESIDUAL_FIRST = frozenset({"jamba", "lfm2", "lfm2moe"})
FED_RESIDUAL_FIRST = frozenset({"phi3", "phimoe", "jamba", "lfm2", "lfm2moe"})
# The last layer's wanted rows are taken when its mixing was added, not before.
ROWS_AFTER_SUM = frozenset({"falcon-h1"})
# What the last layer gives is also handed to a model that drafts.
KEEPS_LAST = frozenset({"gpt-oss"})
# These scale the embedding on the card, so what was read on the host crosses as it is.
_SCALED = frozenset({"gemma2", "gemma3", "gemma3n", "granite", "granitemoe", "granitehybrid"})


@dataclass(frozen=True)
class _Whole:
    model: Model
    request: Request
    places: Layout
    sizes: Batch
    graph: Graph
    parts: Mapping[int | None, Mapping[str, Tensor]]
    first_value: FirstValue

    @property
    def n_tokens(self) -> int:
        return self.sizes.n_tokens

    def f32(self, width: int) -> int:
        return width * self.n_tokens * F32_BYTES


def worst_case(model: Model, request: Request, places: Layout, sizes: Batch) -> Graph:
    """The whole graph, ready to be scheduled."""
    parts: defaultdict[int | None, dict[str, Tensor]] = defaultdict(dict)
    for tensor in model.tensors:
        layer, part = split_name(tensor.name)
        if part not in parts[layer] or tensor.name.endswith(".weight"):
            parts[layer][part] = tensor
    whole = _Whole(model, request, places, sizes, Graph(), parts, FirstValue())
    state, inputs = _embed(whole)
    if model.architecture == "gemma3n":
        return _alternating(whole, state, inputs)
    if "token_embd_norm" in parts[None] and model.architecture in LAYER_NORM:
        state = _block(whole, 0, inputs).norm(state)
    loaded = [index for index, layer in enumerate(model.layers) if layer.loaded]
    for index in loaded:
        last = index == loaded[-1]
        block = _block(whole, index, inputs)
        try:
            state = _layer(whole, block, index, state, last=last)
        except UnknownLayer:
            state = _unknown_layer(block, state)
    return _output(whole, state)


def _alternating(whole: _Whole, embedded: Value, inputs: Inputs) -> Graph:
    """Gemma 3n. What every layer reads besides is looked up on the host, too."""
    graph, blocks = whole.graph, [_block(whole, index, inputs) for index in range(len(whole.model.layers))]
    parts = whole.parts[None]
    looked_up = graph.input(whole.n_tokens * INDEX_BYTES)
    if "per_layer_token_embd" not in parts or not parts["per_layer_token_embd"].shape:
        return _output(whole, embedded)
    width = parts["per_layer_token_embd"].shape[0]
    outside = replace(blocks[0], parts=parts, place=whole.places.output)
    first = replace(blocks[0], parts=parts, place=whole.places.layers[0])
    graph.expand(embedded)
    rows = graph.over(None, graph.look_up(HOST, whole.f32(width), looked_up))
    graph.expand(rows)
    stack = stacked(blocks[0], outside, embedded)
    extra = per_layer(blocks[0], first, embedded, rows)
    for index, (block, layer) in enumerate(zip(blocks, whole.model.layers, strict=True)):
        if layer.attention is None:
            stack = _unknown_layer(block, stack)
            continue
        try:
            n_cells, sparse = cells(layer.attention, whole.sizes), index < SPARSE_LAYERS
            stack = altup_layer(block, layer.attention, n_cells, stack, extra, sparse=sparse)
        except UnknownLayer:
            stack = _unknown_layer(block, stack)
    return _output(whole, merged(blocks[-1], outside, stack))


def _output(whole: _Whole, state: Value) -> Graph:
    graph, output, model = whole.graph, whole.places.output, whole.model
    plain = model.architecture in LAYER_NORM
    if model.architecture in KEEPS_LAST:
        graph.keep(state)
    normed = graph.op(None, graph.n_bytes[state], state) if plain else graph.over(None, state)
    state = graph.over(output, normed)
    projection = whole.parts[None].get("output") or whole.parts[None].get("token_embd")
    logits = graph.op(
        output,
        max(1, model.vocab) * whole.sizes.n_ubatch * F32_BYTES,
        state,
        weight=projection.name if projection else "",
    )
    if model.architecture == "gemma2":
        logits = graph.over(None, logits)
    graph.expand(logits)
    return graph


def _embed(whole: _Whole) -> tuple[Value, Inputs]:
    """Inputs, and the embedding: looked up on the host, for text and for what is mixed into it."""
    graph, model, n_tokens = whole.graph, whole.model, whole.n_tokens
    row = whole.f32(model.n_embd)
    tokens = graph.input(n_tokens * INDEX_BYTES)
    graph.input(row)
    mixed_tokens = graph.input(n_tokens * INDEX_BYTES)
    mixed, slots = graph.input(row), graph.input(n_tokens * ROW_BYTES)
    inputs = read_by_layers(graph, model, whole.request, whole.sizes)
    embedded = graph.look_up(HOST, row, tokens)
    mixed_in = graph.look_up(HOST, row, mixed_tokens)
    copied = graph.op(None, row, mixed)
    graph.expand(embedded)
    graph.write(copied, mixed_in, slots)
    if model.architecture in _SCALED:
        embedded = graph.over(None, embedded)
        graph.expand(embedded)
    return embedded, inputs


def _block(whole: _Whole, index: int, inputs: Inputs) -> Block:
    return Block(
        graph=whole.graph,
        parts=whole.parts[index],
        place=whole.places.layers[index],
        experts_place=whole.places.experts(index),
        n_tokens=whole.n_tokens,
        n_outputs=whole.sizes.n_ubatch,
        n_embd=whole.model.n_embd,
        flash_attention=whole.sizes.flash_attention,
        inputs=inputs,
        softmax_last=whole.model.architecture == "gpt-oss",
        logits_ranked=whole.model.architecture == "llama4",
        cache_types=(kv_type(whole.request.kv_type_k), kv_type(whole.request.kv_type_v)),
        cache_place=_cache_place(whole, index),
        n_streams=whole.sizes.n_streams,
        layer_norm=whole.model.architecture in LAYER_NORM,
        windowed=len(inputs.masks) > 1,
        weights_normed=whole.model.architecture in NORMED
        or bool(whole.model.metadata.get(f"{whole.model.architecture}.expert_weights_norm")),
    )


def _cache_place(whole: _Whole, index: int) -> int:
    """Where the cache lies that a layer reads: its own, or that of the last layer before it that is like it."""
    if not whole.request.offload_kqv:
        return HOST
    attends = whole.model.layers[index].attention
    if attends is None or attends.caches:
        return whole.places.layers[index]
    for before in range(index - 1, -1, -1):
        other = whole.model.layers[before].attention
        if other and other.caches and other.window == attends.window:
            return whole.places.layers[before]
    return whole.places.layers[index]


def _layer(whole: _Whole, block: Block, index: int, state: Value, *, last: bool) -> Value:
    layer = whole.model.layers[index]
    if layer.recurrent and layer.recurrent.kind == "rwkv7":
        return rwkv7(block, layer.recurrent, state, whole.sizes, whole.first_value, last=last)
    if layer.recurrent and layer.recurrent.kind == "rwkv6":
        return rwkv6(block, layer.recurrent, state, whole.sizes, last=last)
    if layer.attention and whole.model.architecture in PARALLEL:
        return _side_by_side(whole, block, layer, state, last=last)
    mixed = _mix(whole, block, layer, state)
    if mixed is not None:
        state = _added(whole, block, mixed, state, last=last)
    if not layer.experts and not layer.ff_size:
        return state
    if last and mixed is not None:
        block = block.wanted
    fed = _feed(block, layer, block.norm(state))
    if "post_ffw_norm" in block.parts:
        fed = block.norm(fed)
    if last and mixed is None:
        fed, state = _wanted(block, fed), _wanted(block, state)
    return block.graph.over(None, *_in_order(whole, fed, state, FED_RESIDUAL_FIRST))


def _added(whole: _Whole, block: Block, mixed: Value, state: Value, *, last: bool) -> Value:
    """What attention or recurrence adds; in the last layer only for the rows that are wanted."""
    late = whole.model.architecture in ROWS_AFTER_SUM
    if last and not late:
        mixed, state = _wanted(block, mixed), _wanted(block, state)
    if "post_attention_norm" in block.parts and "ffn_norm" in block.parts:
        mixed = block.norm(mixed)
    state = block.graph.over(None, *_in_order(whole, mixed, state, RESIDUAL_FIRST))
    return _wanted(block, state) if last and late else state


def _wanted(block: Block, value: Value) -> Value:
    return block.graph.op(None, block.wanted.f32(block.n_embd), value, block.inputs.outputs)


def _in_order(whole: _Whole, added: Value, state: Value, first: frozenset[str]) -> tuple[Value, Value]:
    """Which of the two the sum overwrites when neither is needed any more: the first."""
    return (state, added) if whole.model.architecture in first else (added, state)


def _unknown_layer(block: Block, state: Value) -> Value:
    """Every projection's result at once: more than any order of them needs."""
    matrices = [
        tensor for part, tensor in block.parts.items() if len(tensor.shape) > 1 and "_exps" not in part
    ]
    width = sum(tensor.shape[1] for tensor in matrices)
    everything = block.graph.op(block.place, block.f32(max(width, block.n_embd)), state)
    return block.graph.over(None, block.graph.op(None, block.f32(block.n_embd), everything), state)


def _mix(whole: _Whole, block: Block, layer: Layer, state: Value) -> Value | None:
    """Attention, recurrence or both, output projections included; None for a layer that has neither."""
    graph = block.graph
    found = None
    if layer.attention:
        normed = block.norm(state)
        found = attention(block, layer.attention, normed, cells(layer.attention, whole.sizes))
        if not layer.recurrent:
            return block.project("attn_output", found)
    if layer.recurrent:
        mixed = recurrent(block, layer.recurrent, block.norm(state), whole.sizes)
        if found is None:
            return mixed
        return graph.over(None, block.project("attn_output", found), mixed)
    return None


def _side_by_side(whole: _Whole, block: Block, layer: Layer, state: Value, *, last: bool) -> Value:
    """Attention and feed-forward both read the same normed input (Command-R)."""
    assert layer.attention
    graph, normed = block.graph, block.norm(state)
    found = attention(block, layer.attention, normed, cells(layer.attention, whole.sizes))
    fed = _feed(block.wanted, layer, _wanted(block, normed)) if last else _feed(block, layer, normed)
    out = graph.over(None, fed, _wanted(block, state) if last else state)
    attended = block.project("attn_output", found)
    return graph.over(None, out, _wanted(block, attended) if last else attended)


def _feed(block: Block, layer: Layer, normed: Value) -> Value:
    return mixture(block, layer.experts, normed) if layer.experts else feed_forward(block, normed)
