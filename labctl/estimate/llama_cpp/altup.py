"""Gemma 3n: four alternating streams per token, and an input of its own for every layer (src/models/gemma3n.cpp)."""

from labctl.estimate.llama_cpp.graph import Value
from labctl.estimate.llama_cpp.transformer import Block, attention
from labctl.models.layer import Attention

# So many first layers keep only their strongest activations (n_layer_sparsity, which no file says).
SPARSE_LAYERS = 10


def stacked(block: Block, whole: Block, scaled: Value) -> Value:
    """The embedding in all streams. whole: the tensors that belong to no layer, where the output is."""
    graph, row, others = block.graph, block.f32(block.n_embd), _streams(block) - 1
    repeated = graph.op(None, others * row, scaled)
    projected = graph.op(whole.place, others * row, repeated)
    size = graph.op(None, block.f32(1), graph.op(None, row, scaled))
    scaled_up = graph.op(None, others * row, projected, size)
    own = graph.op(None, block.f32(others), graph.over(None, projected))
    return graph.op(None, _streams(block) * row, scaled, graph.over(None, scaled_up, own))


def per_layer(block: Block, whole: Block, scaled: Value, looked_up: Value) -> Value:
    """What every layer adds to its prediction, for all layers at once."""
    graph = block.graph
    projected = graph.op(whole.place, graph.n_bytes[looked_up], scaled)
    normed = graph.over(whole.place, graph.op(None, graph.n_bytes[looked_up], projected))
    return graph.op(None, graph.n_bytes[looked_up], graph.over(None, normed, viewed=(looked_up,)))


def altup_layer(
    block: Block, attends: Attention, cells: int, stack: Value, inputs: Value, *, sparse: bool
) -> Value:
    """One layer: predict all streams, compute one, correct all. inputs: every layer's, of which it reads its own."""
    own = block.graph.view(block.f32(block.width("inp_gate")), inputs)
    graph, row, streams = block.graph, block.f32(block.n_embd), _streams(block)
    permuted = graph.op(None, streams * row, stack)
    coefficients = _router(block, graph.view(row, stack), streams * streams)
    predicted = graph.op(None, streams * row, permuted, coefficients)
    predicted = graph.over(None, graph.op(None, streams * row, predicted), stack)
    normed = graph.over(block.place, graph.op(None, row, predicted))
    mixed = block.norm(block.project("attn_output", attention(block, attends, normed, cells)))
    gated = graph.over(None, mixed, viewed=(predicted,))
    laurel = block.norm(block.project("laurel_r", block.project("laurel_l", normed)))
    together = graph.over(None, gated, graph.over(None, laurel, normed))
    fed = block.norm(together)
    up = block.project("ffn_up", fed)
    gate = block.project("ffn_gate", fed)
    active = graph.over(None, up, graph.over(None, _sparse(block, gate) if sparse else gate))
    active = graph.over(None, block.norm(block.project("ffn_down", active)), together)
    innovation = graph.over(None, active, viewed=(predicted,))
    repeated = graph.op(None, streams * row, innovation)
    corrected = graph.over(None, repeated, _router(block, active, streams))
    corrected = graph.over(None, corrected, predicted)
    first = graph.op(block.place, row, corrected)
    first = graph.over(None, block.project("inp_gate", first), viewed=(own,))
    first = block.norm(block.project("proj", first))
    rest = graph.op(None, (streams - 1) * row, corrected, first)
    return graph.op(None, streams * row, corrected, rest)


def _sparse(block: Block, gate: Value) -> Value:
    """Only what is far above the mean stays."""
    graph = block.graph
    mean = graph.op(None, block.f32(1), gate)
    spread = graph.op(None, block.f32(1), graph.over(None, gate, mean))
    return graph.over(None, gate, graph.over(None, mean, spread))


def merged(block: Block, whole: Block, stack: Value) -> Value:
    """One row per token again."""
    graph, row, others = block.graph, block.f32(block.n_embd), _streams(block) - 1
    projected = graph.op(whole.place, others * row, stack)
    size = graph.op(None, block.f32(1), graph.op(None, row, stack))
    scaled = graph.op(None, others * row, projected, size)
    own = graph.op(None, block.f32(others), graph.over(None, projected))
    all_scaled = graph.over(None, scaled, own)
    total = graph.op(None, row, stack, all_scaled)
    for _ in range(others - 1):
        total = graph.over(None, total, viewed=(all_scaled,))
    return graph.op(None, row, total, block.inputs.outputs)


def _router(block: Block, value: Value, width: int) -> Value:
    """Coefficients per token."""
    modalities = block.project("altup_router", block.norm(value))
    return block.graph.op(block.place, block.f32(width), modalities)


def _streams(block: Block) -> int:
    return block.size("altup_router", 1) if "altup_router" in block.parts else 4
