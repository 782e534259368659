"""What the host fills in for every batch: positions, masks, and which rows are written or wanted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.graph import Graph, Value
from labctl.estimate.llama_cpp.kv_cache import Batch, cells, kv_type
from labctl.models.layer import Attention
from labctl.models.model import Model

F32_BYTES, F16_BYTES = 4, 2
INDEX_BYTES, ROW_BYTES = 4, 8
_TURN = 64
WITHOUT_POSITIONS = frozenset({"jamba", "nemotron_h", "nemotron_h_moe"})
# Only layers with a window know positions.
WINDOW_TURNS = frozenset({"cohere2", "exaone4"})
# Time, height, width and one more.
FOUR_POSITIONS = frozenset({"qwen35", "qwen35moe", "qwen2vl", "qwen3vl", "qwen3vlmoe"})


@dataclass(frozen=True)
class Inputs:
    """What the host fills in, by window (None: all cells) where there is one per cache. Not every graph reads all.

    positions: only of the windows whose layers turn their heads by them.
    state_rows: which sequences' states belong to this batch, whole and in two parts.
    """

    positions: Mapping[int | None, Value]
    masks: Mapping[int | None, Value]
    key_rows: Mapping[int | None, Value]
    value_rows: Mapping[int | None, Value]
    key_turns: Mapping[int | None, Value]
    value_turns: Mapping[int | None, Value]
    outputs: Value
    state_rows: tuple[Value, ...]


def read_by_layers(graph: Graph, model: Model, request: Request, sizes: Batch) -> Inputs:
    """What the host fills in beside the tokens."""
    attends = [layer.attention for layer in model.layers if layer.attention and layer.loaded]
    windows = dict.fromkeys(attention.window for attention in attends)
    mask_bytes = F16_BYTES if sizes.flash_attention else F32_BYTES
    by_window = {window: next(a for a in attends if a.window == window) for window in windows}
    return Inputs(
        positions=_positions(graph, model, sizes, windows),
        key_rows={window: graph.input(sizes.n_tokens * ROW_BYTES) for window in windows},
        value_rows={
            window: graph.input(_value_rows(sizes, attention.n_head_kv * attention.head_dim_v))
            for window, attention in by_window.items()
            if not attention.latent
        },
        key_turns=_turns(graph, by_window, request.kv_type_k, keys=True),
        value_turns=_turns(graph, by_window, request.kv_type_v, keys=False),
        masks={
            window: graph.input(cells(attention, sizes) * sizes.n_tokens * mask_bytes)
            for window, attention in by_window.items()
        },
        outputs=graph.input(sizes.n_ubatch * INDEX_BYTES),
        state_rows=_state_rows(graph, sizes) if any(layer.recurrent for layer in model.layers) else (),
    )


def _positions(
    graph: Graph, model: Model, sizes: Batch, windows: Iterable[int | None]
) -> dict[int | None, Value]:
    """By window, where positions turn the heads: in no layer, in all, or only in those with a window."""
    turned = model.architecture not in WITHOUT_POSITIONS and bool(
        model.metadata.get(f"{model.architecture}.rope.scaling.finetuned", True)
    )
    turning = [window for window in windows if turned and (window or model.architecture not in WINDOW_TURNS)]
    if not turning:
        return {}
    per_token = 4 if model.architecture in FOUR_POSITIONS else 1
    return dict.fromkeys(turning, graph.input(per_token * sizes.n_tokens * INDEX_BYTES))


def _state_rows(graph: Graph, sizes: Batch) -> tuple[Value, ...]:
    """Which states this batch reads: all, those of its sequences, and those that are only moved along."""
    n_bytes = sizes.n_sequences * INDEX_BYTES
    rows = graph.input(n_bytes)
    return rows, graph.view(n_bytes, rows), graph.view(n_bytes - INDEX_BYTES, rows)


def _turns(
    graph: Graph, by_window: Mapping[int | None, Attention], name: str, *, keys: bool
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
            found[window] = graph.input(size * size * F32_BYTES)
    return found


def _value_rows(sizes: Batch, width: int) -> int:
    """Transposed values are written element by element."""
    return sizes.n_tokens * ROW_BYTES * (1 if sizes.flash_attention else width)
