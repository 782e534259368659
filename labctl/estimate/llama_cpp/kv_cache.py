"""The cache: keys and values per layer, recurrent state per sequence (src/llama-kv-cache*.cpp, llama-memory-*.cpp)."""

from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.estimate.claim import Request
from labctl.models.ggml_types import BY_NAME, GgmlType
from labctl.models.layer import Attention, Layer
from labctl.models.model import Model

DEFAULT_BATCH, DEFAULT_UBATCH = 2048, 512
_PADDING = 256
_STATE_BYTES = 4


@dataclass(frozen=True)
class Batch:
    """Sizes that context, slots and batch come to. cells: per stream. window_cells: of layers with a window."""

    n_context: int
    n_streams: int
    n_sequences: int
    cells: int
    n_ubatch: int
    flash_attention: bool

    @property
    def n_tokens(self) -> int:
        """Tokens of the largest batch that is planned for: as many of every sequence."""
        return -(-self.n_ubatch // self.n_sequences) * self.n_sequences

    def window_cells(self, window: int) -> int:
        """Cells per stream of a layer that sees `window` tokens back."""
        seen = window * (self.n_sequences if self.n_streams == 1 else 1) + self.n_ubatch
        return _pad(min(self.cells, seen))


def batch(request: Request) -> Batch:
    """`-c context·parallel` with one stream per slot, or one for all; every stream padded to 256 cells."""
    if request.context < 1 or request.parallel < 1:
        raise BadInput(
            "context and parallel are at least 1", found=f"{request.context} and {request.parallel}"
        )
    cells = _pad(_pad(request.context * request.parallel) // (1 if request.kv_unified else request.parallel))
    streams = 1 if request.kv_unified else request.parallel
    n_context = cells * streams
    n_batch = min(request.context * request.parallel, request.batch or DEFAULT_BATCH)
    return Batch(
        n_context=n_context,
        n_streams=streams,
        n_sequences=request.parallel,
        cells=cells,
        n_ubatch=min(n_batch, request.ubatch or DEFAULT_UBATCH),
        flash_attention=request.flash_attention is not False,
    )


def kv_type(name: str) -> GgmlType:
    """A cache's type. Raises `BadInput` for a name ggml does not have."""
    if name not in BY_NAME:
        raise BadInput("this is no type of a cache", found=name, expected="f16, bf16, q8_0, q5_1, q4_0 …")
    return BY_NAME[name]


def layer_bytes(layer: Layer, model: Model, request: Request, sizes: Batch) -> int:
    """What one layer keeps, over all streams and sequences; 0 for a layer that is not loaded."""
    if not layer.loaded:
        return 0
    total = 0
    if layer.attention and layer.attention.caches:
        total += _attention_bytes(layer.attention, model, request, sizes)
    if layer.recurrent:
        state = layer.recurrent.conv_elements + layer.recurrent.state_elements
        total += state * _STATE_BYTES * sizes.n_sequences
    return total


def cells(attention: Attention, sizes: Batch) -> int:
    """Cells of one stream of a layer."""
    return sizes.cells if attention.window is None else sizes.window_cells(attention.window)


def _attention_bytes(attention: Attention, model: Model, request: Request, sizes: Batch) -> int:
    rows = cells(attention, sizes) * sizes.n_streams
    keys, values = attention.n_head_kv * attention.head_dim_k, attention.n_head_kv * attention.head_dim_v
    if attention.latent:
        return rows * _row(request.kv_type_k, keys)
    if not sizes.flash_attention:  # transposed values are as wide as the widest layer's
        values = max(
            layer.attention.n_head_kv * layer.attention.head_dim_v
            for layer in model.layers
            if layer.attention
        )
    return rows * (_row(request.kv_type_k, keys) + _row(request.kv_type_v, values))


def _row(name: str, n_elements: int) -> int:
    kind = kv_type(name)
    if n_elements % kind.block:
        raise BadInput(
            f"a cache of {name} cannot hold this model's heads",
            found=f"{n_elements} elements a row",
            expected=f"a multiple of {kind.block}",
            hint="use f16",
        )
    return kind.row_bytes(n_elements)


def _pad(n_cells: int) -> int:
    return -(-n_cells // _PADDING) * _PADDING
