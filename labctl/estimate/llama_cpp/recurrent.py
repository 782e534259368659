"""Recurrent layers as steps of the graph: mamba (1 and 2), short convolution, gated delta net.

Follows src/models/mamba-base.cpp, lfm2.cpp and delta-net-base.cpp.
"""

from labctl.estimate.llama_cpp.graph import Value
from labctl.estimate.llama_cpp.kv_cache import Batch
from labctl.estimate.llama_cpp.transformer import F32_BYTES, Block, UnknownLayer
from labctl.models.layer import Recurrent


def recurrent(block: Block, state: Recurrent, normed: Value, sizes: Batch) -> Value:
    """One recurrent layer, its output projection included."""
    match state.kind:
        case "shortconv":
            return _short_convolution(block, state, normed, sizes)
        case "gated-delta-net":
            return _delta_net(block, state, normed, sizes)
        case "mamba":
            return _mamba(block, state, normed, sizes)
        case "mamba2":
            return _mamba2(block, state, normed, sizes)
        case _:
            raise UnknownLayer(state.kind)


def load(block: Block, n_elements: int, sizes: Batch) -> Value:
    """State of every sequence, read as soon as the layer begins and before its input is computed."""
    graph = block.graph
    graph.store(block.place)
    loaded = graph.op(None, n_elements * sizes.n_sequences * F32_BYTES, block.inputs.state_rows[0])
    graph.store(block.place, loaded)
    return loaded


def convolved(block: Block, loaded: Value, mixed: Value, width: int) -> Value:
    """The last tokens before this batch, then the batch: joined, kept for next time."""
    graph = block.graph
    joined = graph.op(None, graph.n_bytes[loaded] + block.f32(width), loaded, mixed)
    graph.store(block.place, joined)
    return joined


def _state_bytes(state: Recurrent, sizes: Batch) -> int:
    return state.state_elements * sizes.n_sequences * F32_BYTES


def _short_convolution(block: Block, state: Recurrent, normed: Value, sizes: Batch) -> Value:
    graph, width = block.graph, block.n_embd
    loaded = load(block, state.conv_elements, sizes)
    mixed = block.project("shortconv.in_proj", normed)
    gated = graph.op(None, block.f32(width), mixed)
    joined = convolved(block, loaded, gated, width)
    result = graph.op(block.place, block.f32(width), joined)
    return block.reshaped(block.project("shortconv.out_proj", graph.over(None, result, mixed)))


def _mamba2(block: Block, state: Recurrent, normed: Value, sizes: Batch) -> Value:
    graph, parts = block.graph, block.parts
    inner, width = block.size("ssm_out", 0), block.size("ssm_conv1d", 1)
    loaded = load(block, state.conv_elements, sizes)
    mixed = block.project("ssm_in", normed)
    joined = convolved(block, loaded, mixed, width)
    result = graph.over(block.place, graph.op(block.place, block.f32(width), joined))
    graph.store(block.place)
    steps = graph.op(None, block.f32(block.size("ssm_a", -1)), mixed)
    scanned = graph.op(
        block.place, block.f32(inner) + _state_bytes(state, sizes), result, steps, block.inputs.state_rows[1]
    )
    graph.expand(scanned)
    graph.store(block.place, graph.op(None, 0, block.inputs.state_rows[2]))
    graph.store(block.place, scanned)
    gate = graph.op(None, block.f32(inner), block.columns(mixed, inner))
    skipped = graph.op(block.place, block.f32(inner), result)
    added = graph.over(None, skipped, viewed=(scanned,))
    active = graph.op(None, block.f32(inner), gate, added)
    if "ssm_norm" in parts:
        active = graph.over(block.place, graph.op(None, block.f32(inner), active))
    return block.project("ssm_out", active)


def _mamba(block: Block, state: Recurrent, normed: Value, sizes: Batch) -> Value:
    graph, parts = block.graph, block.parts
    inner = block.size("ssm_out", 0)
    rank, each = block.size("ssm_dt", 0), block.size("ssm_a", 0)
    loaded = load(block, state.conv_elements, sizes)
    mixed = block.project("ssm_in", normed)
    joined = convolved(block, loaded, mixed, inner)
    result = graph.over(block.place, graph.op(block.place, block.f32(inner), joined))
    graph.store(block.place)
    small = block.project("ssm_x", result)
    steps = graph.op(None, block.f32(rank), block.columns(small, rank))
    before = after = block.columns(small, each)
    if "ssm_dt_norm" in parts:
        steps = graph.over(block.place, steps)
        before, after = (graph.over(block.place, graph.op(None, block.f32(each), before)) for _ in range(2))
    steps = graph.op(block.place, block.f32(inner), steps)
    scanned = graph.op(
        block.place,
        block.f32(inner) + _state_bytes(state, sizes),
        result,
        steps,
        before,
        after,
        block.inputs.state_rows[1],
    )
    graph.expand(scanned)
    graph.store(block.place, graph.op(None, 0, block.inputs.state_rows[2]))
    graph.store(block.place, scanned)
    gate = graph.op(None, block.f32(inner), block.columns(mixed, inner))
    skipped = graph.over(block.place, result)
    added = graph.over(None, skipped, viewed=(scanned,))
    return block.reshaped(block.project("ssm_out", graph.op(None, block.f32(inner), gate, added)))


def _delta_net(block: Block, state: Recurrent, normed: Value, sizes: Batch) -> Value:
    graph, parts = block.graph, block.parts
    width, inner, heads = block.size("ssm_conv1d", 1), block.size("ssm_out", 0), block.size("ssm_a", 0)
    graph.expand(normed)
    loaded = load(block, state.conv_elements, sizes)
    mixed = block.project("attn_qkv" if "attn_qkv" in parts else "ssm_in", normed)
    joined = convolved(block, loaded, block.columns(mixed, width), width)
    remembered = load(block, state.state_elements, sizes)
    result = graph.over(None, graph.op(block.place, block.f32(width), joined))
    asked, known = (_keys(block, result, (width - inner) // 2, inner) for _ in range(2))
    decay, share = _decay_and_share(block, normed, heads)
    scanned = graph.op(
        None, block.f32(inner) + _state_bytes(state, sizes), asked, known, result, decay, share, remembered
    )
    graph.store(block.place, scanned)
    found = graph.over(block.place, graph.op(None, block.f32(inner), scanned))
    gate = block.project("attn_gate", normed) if "attn_gate" in parts else block.columns(mixed, inner)
    gate = graph.op(None, block.f32(inner), gate)
    return block.reshaped(block.project("ssm_out", graph.over(None, found, gate)))


def _keys(block: Block, result: Value, width: int, inner: int) -> Value:
    """Queries or keys of all heads, normed; Qwen3-Next repeats them where there are fewer than values have."""
    graph = block.graph
    normed = graph.over(None, graph.op(None, block.f32(width), result))
    return (
        normed if width == inner or "ssm_ba" not in block.parts else graph.op(None, block.f32(inner), normed)
    )


def _decay_and_share(block: Block, normed: Value, heads: int) -> tuple[Value, Value]:
    """Per head: how fast the state fades, and how much of this token it takes in."""
    graph, row = block.graph, block.f32(heads)
    if "ssm_ba" not in block.parts:
        decay = graph.op(block.place, row, block.project("ssm_alpha", normed))
        return decay, graph.op(None, row, block.project("ssm_beta", normed))
    both = block.project("ssm_ba", normed)
    decay = graph.over(block.place, graph.op(None, row, block.columns(both, heads)))
    return decay, graph.op(None, row, block.columns(both, heads))
