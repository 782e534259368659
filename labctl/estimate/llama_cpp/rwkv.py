"""RWKV-6 and 7 as steps of the graph (src/models/rwkv*-base.cpp): time mixing, then channel mixing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from labctl.estimate.llama_cpp.graph import Value
from labctl.estimate.llama_cpp.kv_cache import Batch
from labctl.estimate.llama_cpp.recurrent import load
from labctl.estimate.llama_cpp.transformer import F32_BYTES, Block
from labctl.models.layer import Recurrent

# Elements that share one bonus; every published RWKV-7 has heads of 64.
_HEAD = 64


@dataclass
class FirstValue:
    """The first layer's values: every later layer mixes them in, so they live as long as the graph."""

    value: Value | None = None


def rwkv6(block: Block, state: Recurrent, hidden: Value, sizes: Batch, *, last: bool) -> Value:
    """One whole layer; the last one mixes channels only for the tokens that are wanted."""
    graph = block.graph
    hidden, before, normed = _mixed_in_time(block, state, hidden, sizes, _mix_time_6, last=last)
    change = _change(block, before, normed, last=last)
    asked = graph.over(None, graph.over(block.place, change), normed)
    gate = graph.over(None, block.project("channel_mix_receptance", asked))
    mixed = graph.over(None, graph.over(block.place, change), normed)
    active = graph.over(None, block.project("channel_mix_key", mixed))
    return graph.over(None, graph.over(None, gate, block.project("channel_mix_value", active)), hidden)


def rwkv7(
    block: Block, state: Recurrent, hidden: Value, sizes: Batch, first: FirstValue, *, last: bool
) -> Value:
    """One whole layer, as above."""
    graph = block.graph
    hidden, before, normed = _mixed_in_time(
        block, state, hidden, sizes, partial(_mix_time_7, first=first), last=last
    )
    change = _change(block, before, normed, last=last)
    mixed = graph.over(None, graph.over(block.place, change), normed)
    active = graph.over(None, block.project("channel_mix_key", mixed))
    return graph.over(None, block.project("channel_mix_value", active), hidden)


def _mixed_in_time(
    block: Block,
    state: Recurrent,
    hidden: Value,
    sizes: Batch,
    mix: Callable[[Block, Recurrent, Value, Value, Batch], Value],
    *,
    last: bool,
) -> tuple[Value, Value, Value]:
    """The layer's first half. Returns what is added to, and what channel mixing compares: tokens before and tokens."""
    graph, shift = block.graph, state.conv_elements * sizes.n_sequences * F32_BYTES
    row, hidden = block.f32(block.n_embd), block.reshaped(hidden)
    loaded = load(block, state.conv_elements, sizes)
    mixing = block.norm(hidden)
    hidden = graph.op(None, row, mix(block, state, mixing, loaded, sizes), hidden)
    normed = block.norm(hidden)
    graph.store(block.place, graph.op(None, shift, mixing, normed))
    before = block.reshaped(graph.op(None, row, *_before(block, loaded, normed)))
    hidden, normed = block.reshaped(hidden), block.reshaped(normed)
    if last:
        hidden, before, normed = (
            graph.op(None, row, value, block.inputs.outputs) for value in (hidden, before, normed)
        )
    return hidden, before, normed


def _change(block: Block, before: Value, normed: Value, *, last: bool) -> Value:
    if last:
        return block.graph.over(None, before, normed)
    return block.graph.op(None, block.f32(block.n_embd), before, normed)


def _before(block: Block, loaded: Value, normed: Value) -> tuple[Value, Value]:
    """The token before each: of every sequence the last one of the batch before, and this one's without its last."""
    graph, token = block.graph, block.n_embd * F32_BYTES
    kept = graph.view(graph.n_bytes[loaded] - token, loaded)
    return kept, graph.view(graph.n_bytes[normed] - token, normed)


def _mix_time_6(block: Block, state: Recurrent, normed: Value, loaded: Value, sizes: Batch) -> Value:
    graph, row = block.graph, block.f32(block.n_embd)
    kept = state.state_elements * sizes.n_sequences * F32_BYTES
    before = load(block, state.state_elements, sizes)
    change = block.reshaped(graph.over(None, graph.op(None, row, *_before(block, loaded, normed)), normed))
    seen = block.reshaped(normed)
    mixed = graph.over(None, graph.op(block.place, row, change), seen)
    inner = graph.over(None, block.project("time_mix_w1", mixed))
    mixed = graph.op(None, 5 * row, graph.op(None, graph.n_bytes[inner], inner))
    mixed = graph.over(None, graph.over(None, graph.over(block.place, mixed), change), seen)
    key, value, asked = (block.project(f"time_mix_{name}", mixed) for name in ("key", "value", "receptance"))
    decay = graph.over(None, block.project("time_mix_decay_w1", mixed))
    decay = graph.over(block.place, block.project("time_mix_decay_w2", decay))
    scanned = graph.op(block.place, row + kept, key, value, asked, decay, before)
    graph.store(block.place, scanned)
    result = graph.op(block.place, row, graph.op(None, row, scanned))
    gate = graph.over(None, block.project("time_mix_gate", mixed))
    return block.project("time_mix_output", graph.over(None, result, gate))


def _mix_time_7(
    block: Block, state: Recurrent, normed: Value, loaded: Value, sizes: Batch, *, first: FirstValue
) -> Value:
    graph, row = block.graph, block.f32(block.n_embd)
    kept = state.state_elements * sizes.n_sequences * F32_BYTES
    before = load(block, state.state_elements, sizes)
    change = graph.over(None, graph.op(None, row, *_before(block, loaded, normed)), normed)
    mixed = graph.over(None, graph.over(block.place, graph.op(None, 6 * row, change)), normed)
    asked = block.project("time_mix_receptance", mixed)
    decay = _low_rank(block, "w", mixed)
    key = block.project("time_mix_key", mixed)
    rate = _low_rank(block, "a", mixed)
    scaled = graph.over(block.place, key)
    replaced = graph.over(None, graph.over(None, rate, scaled), scaled)
    new_key = graph.over(None, key, replaced)
    value = block.project("time_mix_value", mixed)
    if first.value is None:
        first.value = value
    else:
        gap = graph.over(None, first.value, value)
        value = graph.over(None, value, graph.over(None, gap, _low_rank(block, "v", mixed)))
    direction = graph.op(None, row, graph.over(block.place, key))
    negative = graph.over(None, direction)
    removed = graph.over(None, direction, viewed=(rate,))
    scanned = graph.op(None, row + kept, asked, decay, new_key, value, negative, removed, before)
    graph.store(block.place, scanned)
    result = graph.op(block.place, row, graph.op(None, row, scanned))
    bonus = graph.op(None, row // _HEAD, graph.over(block.place, graph.op(None, row, new_key, asked)))
    result = graph.over(None, result, viewed=(graph.op(None, row, value, bonus),))
    return block.project("time_mix_output", graph.over(None, result, _low_rank(block, "g", mixed)))


def _low_rank(block: Block, name: str, mixed: Value) -> Value:
    inner = block.project(f"time_mix_{name}1", mixed)
    return block.graph.over(None, block.project(f"time_mix_{name}2", inner))
