"""True headers of real models, one per architecture: sizes from each model's published config.json."""

from collections.abc import Callable

from tests.oracle.shapes import dense, experts, hybrid, hybrid_experts, mixtures, recurrent, windowed
from tests.oracle.sparse_gguf import Header

SHAPES: dict[str, Callable[[], Header]] = {
    **dense.SHAPES,
    **windowed.SHAPES,
    **experts.SHAPES,
    **mixtures.SHAPES,
    **hybrid.SHAPES,
    **hybrid_experts.SHAPES,
    **recurrent.SHAPES,
}
