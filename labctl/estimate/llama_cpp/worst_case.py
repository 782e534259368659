"""The graph that the engine reserves for: a full micro-batch, every token with logits (src/llama-context.cpp)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.altup import SPARSE_LAYERS, altup_layer, merged, per_layer, stacked
from labctl.estimate.llama_cpp.graph import HOST, Graph, Value
from labctl.estimate.llama_cpp.kv_cache import Batch, cells, kv_type
from labctl.estimate.llama_cpp.layout import Layout
from labctl.estimate.llama_cpp.recurrent import recurrent
from labctl.estimate.llama_cpp.rwkv import FirstValue, rwkv6, rwkv7
from labctl.estimate.llama_cpp.transformer import (
    F16_BYTES,
    F32_BYTES,
    LAYER_NORM,
    NORMED,
    PARALLEL,
    Block,
    Inputs,
    UnknownLayer,
    attention,
    feed_forward,
    mixture,
)
from labctl.estimate.llama_cpp.weights import split_name
from labctl.models.layer import Attention, Layer
from labctl.models.model import Model, Tensor

_INDEX_BYTES, _ROW_BYTES = 4, 8
_TURN = 64
# These scale the embedding on the card, so what was read on the host crosses as it is.
RESIDUAL_FIRST = frozenset({"jamba", "lfm2", "lfm2moe"})
FED_RESIDUAL_FIRST = frozenset({"phi3", "phimoe", "jamba", "lfm2", "lfm2moe"})
# The last layer's wanted rows are taken when its mixing was added, not before.
ROWS_AFTER_SUM = frozenset({"falcon-h1"})
WITHOUT_POSITIONS = frozenset({"jamba", "nemotron_h", "nemotron_h_moe"})
# Only layers with a window know positions.
WINDOW_TURNS = frozenset({"cohere2", "exaone4"})
# Time, height, width and one more.
FOUR_POSITIONS = frozenset({"qwen35", "qwen35moe", "qwen2vl", "qwen3vl", "qwen3vlmoe"})
# What the last layer gives is also handed to a model that drafts.
KEEPS_LAST = frozenset({"gpt-oss"})
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
        return self.sizes.n_ubatch

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
    looked_up = graph.input(whole.n_tokens * _INDEX_BYTES)
    if "per_layer_token_embd" not in parts or not parts["per_layer_token_embd"].shape:
        return _output(whole, embedded)
    width = parts["per_layer_token_embd"].shape[0]
    outside = replace(blocks[0], parts=parts, place=whole.places.output)
    first = replace(blocks[0], parts=parts, place=whole.places.layers[0])
    graph.expand(embedded)
    rows = graph.over(None, graph.op(HOST, whole.f32(width), looked_up))
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
    normed = graph.op(None, whole.f32(model.n_embd), state) if plain else graph.over(None, state)
    state = graph.over(output, normed)
    logits = graph.op(output, whole.f32(max(1, model.vocab)), state)
    if model.architecture == "gemma2":
        logits = graph.over(None, logits)
    graph.expand(logits)
    return graph


def _embed(whole: _Whole) -> tuple[Value, Inputs]:
    """Inputs, and the embedding: looked up on the host, for text and for what is mixed into it."""
    graph, model, n_tokens = whole.graph, whole.model, whole.n_tokens
    row = whole.f32(model.n_embd)
    tokens = graph.input(n_tokens * _INDEX_BYTES)
    graph.input(row)
    mixed_tokens = graph.input(n_tokens * _INDEX_BYTES)
    mixed, slots = graph.input(row), graph.input(n_tokens * _ROW_BYTES)
    inputs = _inputs(whole)
    embedded = graph.op(HOST, row, tokens)
    mixed_in = graph.op(HOST, row, mixed_tokens)
    copied = graph.op(None, row, mixed)
    graph.expand(embedded)
    graph.write(copied, mixed_in, slots)
    if model.architecture in _SCALED:
        embedded = graph.over(None, embedded)
        graph.expand(embedded)
    return embedded, inputs


def _inputs(whole: _Whole) -> Inputs:
    graph, sizes = whole.graph, whole.sizes
    attends = [layer.attention for layer in whole.model.layers if layer.attention and layer.loaded]
    windows = dict.fromkeys(attention.window for attention in attends)
    mask_bytes = F16_BYTES if sizes.flash_attention else F32_BYTES
    by_window = {window: next(a for a in attends if a.window == window) for window in windows}
    return Inputs(
        positions=_positions(whole, windows),
        key_rows={window: graph.input(whole.n_tokens * _ROW_BYTES) for window in windows},
        value_rows={
            window: graph.input(_value_rows(whole, attention.n_head_kv * attention.head_dim_v))
            for window, attention in by_window.items()
            if not attention.latent
        },
        key_turns=_turns(whole, by_window, whole.request.kv_type_k, keys=True),
        value_turns=_turns(whole, by_window, whole.request.kv_type_v, keys=False),
        masks={
            window: graph.input(cells(attention, sizes) * whole.n_tokens * mask_bytes)
            for window, attention in by_window.items()
        },
        outputs=graph.input(whole.n_tokens * _INDEX_BYTES),
        state_rows=_state_rows(graph, sizes) if any(layer.recurrent for layer in whole.model.layers) else (),
    )


def _positions(whole: _Whole, windows: Iterable[int | None]) -> dict[int | None, Value]:
    """By window, where positions turn the heads: in no layer, in all, or only in those with a window."""
    model = whole.model
    turned = model.architecture not in WITHOUT_POSITIONS and bool(
        model.metadata.get(f"{model.architecture}.rope.scaling.finetuned", True)
    )
    turning = [window for window in windows if turned and (window or model.architecture not in WINDOW_TURNS)]
    if not turning:
        return {}
    per_token = 4 if model.architecture in FOUR_POSITIONS else 1
    return dict.fromkeys(turning, whole.graph.input(per_token * whole.n_tokens * _INDEX_BYTES))


def _state_rows(graph: Graph, sizes: Batch) -> tuple[Value, ...]:
    """Which states this batch reads: all, those of its sequences, and the others, of which there are none."""
    n_bytes = sizes.n_sequences * _INDEX_BYTES
    rows = graph.input(n_bytes)
    return rows, graph.view(n_bytes, rows), graph.view(0, rows)


def _turns(
    whole: _Whole, by_window: Mapping[int | None, Attention], name: str, *, keys: bool
) -> dict[int | None, Value]:
    """Matrices that rotate heads before they are quantized: 64 wide, for keys as wide as divides a head."""
    found: dict[int | None, Value] = {}
    if kv_type(name).block == 1:
        return found
    for window, attends in by_window.items():
        width, size = (attends.head_dim_k if keys else attends.head_dim_v), _TURN
        while keys and width % (2 * size) == 0:
            size *= 2
        if width % _TURN == 0 and not attends.latent:
            found[window] = whole.graph.input(size * size * F32_BYTES)
    return found


def _value_rows(whole: _Whole, width: int) -> int:
    """Transposed values are written element by element."""
    return whole.n_tokens * _ROW_BYTES * (1 if whole.sizes.flash_attention else width)


def _block(whole: _Whole, index: int, inputs: Inputs) -> Block:
    return Block(
        graph=whole.graph,
        parts=whole.parts[index],
        place=whole.places.layers[index],
        experts_place=whole.places.experts(index),
        n_tokens=whole.n_tokens,
        n_embd=whole.model.n_embd,
        flash_attention=whole.sizes.flash_attention,
        inputs=inputs,
        softmax_last=whole.model.architecture == "gpt-oss",
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
    graph, layer, inputs = whole.graph, whole.model.layers[index], block.inputs
    if layer.recurrent and layer.recurrent.kind == "rwkv7":
        return rwkv7(block, layer.recurrent, state, whole.sizes, whole.first_value, last=last)
    if layer.recurrent and layer.recurrent.kind == "rwkv6":
        return rwkv6(block, layer.recurrent, state, whole.sizes, last=last)
    if layer.attention and whole.model.architecture in PARALLEL:
        return _side_by_side(whole, block, layer, state, last=last)
    mixed, row = _mix(whole, block, layer, state), block.f32(block.n_embd)
    late = whole.model.architecture in ROWS_AFTER_SUM
    if last and mixed is not None and not late:
        mixed, state = graph.op(None, row, mixed, inputs.outputs), graph.op(None, row, state, inputs.outputs)
    if mixed is not None:
        if "post_attention_norm" in block.parts and "ffn_norm" in block.parts:
            mixed = block.norm(mixed)
        state = graph.over(None, *_in_order(whole, mixed, state, RESIDUAL_FIRST))
    if last and late:
        state = graph.op(None, row, state, inputs.outputs)
    if not layer.experts and not layer.ff_size:
        return state
    fed = _feed(block, layer, block.norm(state))
    if "post_ffw_norm" in block.parts:
        fed = block.norm(fed)
    if last and mixed is None:
        fed, state = graph.op(None, row, fed, inputs.outputs), graph.op(None, row, state, inputs.outputs)
    return graph.over(None, *_in_order(whole, fed, state, FED_RESIDUAL_FIRST))


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
    graph, normed, row = block.graph, block.norm(state), block.f32(block.n_embd)
    found = attention(block, layer.attention, normed, cells(layer.attention, whole.sizes))
    fed = _feed(block, layer, graph.op(None, row, normed, block.inputs.outputs) if last else normed)
    out = graph.over(None, fed, graph.op(None, row, state, block.inputs.outputs) if last else state)
    attended = block.project("attn_output", found)
    return graph.over(None, out, graph.op(None, row, attended, block.inputs.outputs) if last else attended)


def _feed(block: Block, layer: Layer, normed: Value) -> Value:
    return mixture(block, layer.experts, normed) if layer.experts else feed_forward(block, normed)
