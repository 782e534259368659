"""Which layer goes where: whole layers, in order, in proportion to the split (src/llama-model.cpp, load_tensors)."""

import struct
from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.graph import HOST
from labctl.models.model import Model


@dataclass(frozen=True)
class Layout:
    """layers: the place of each block, unloaded ones included. output: where the logits are made.

    expert_layers_on_host: so many first layers leave their routed experts there. pipelined: four sets of inputs.
    """

    layers: tuple[int, ...]
    output: int
    n_cards: int
    expert_layers_on_host: int
    pipelined: bool

    def experts(self, layer: int) -> int:
        """The place of a layer's routed experts."""
        return HOST if layer < self.expert_layers_on_host else self.layers[layer]


def layout(model: Model, request: Request) -> Layout:
    """Places for a model. Raises `BadInput` when the split does not name every card."""
    n_layers = len(model.layers)
    n_cards = request.n_gpus if request.n_gpu_layers > 0 else 0
    shares = request.tensor_split or (1.0,) * request.n_gpus
    if len(shares) != request.n_gpus or min(shares, default=0) < 0 or not sum(shares):
        raise BadInput(
            "the tensor split does not fit the cards",
            found=",".join(map(str, shares)),
            expected=f"{request.n_gpus} shares, not all zero",
        )
    on_cards = min(request.n_gpu_layers, n_layers + 1)
    first = max(n_layers + 1 - on_cards, 0)
    ends = _ends(shares)
    places = [
        HOST if not n_cards or layer < first else _card(ends, _single((layer - first) / on_cards))
        for layer in range(n_layers + 1)
    ]
    overridden = request.n_cpu_moe > 0 and any(layer.experts for layer in model.layers)
    return Layout(
        layers=tuple(places[:-1]),
        output=places[-1],
        n_cards=n_cards,
        expert_layers_on_host=request.n_cpu_moe,
        pipelined=n_cards > 1
        and request.n_gpu_layers > n_layers
        and request.offload_kqv
        and not (overridden or request.n_cpu_moe > 0),
    )


def _ends(shares: tuple[float, ...]) -> list[float]:
    """Where each card's share ends, between 0 and 1, in single precision as the engine sums."""
    sums: list[float] = []
    total = 0.0
    for share in shares:
        total = _single(total + _single(share))
        sums.append(total)
    return [_single(end / total) for end in sums]


def _card(ends: list[float], at: float) -> int:
    """The first card whose share ends behind `at`."""
    return next((card for card, end in enumerate(ends) if end > at), len(ends) - 1)


def _single(value: float) -> float:
    """Rounded to single precision."""
    rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return rounded
