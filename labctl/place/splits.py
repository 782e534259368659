"""How layers may be dealt out over cards: equally, by usable memory, or the fastest card filled first."""

from collections.abc import Iterator
from dataclasses import replace

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Request
from labctl.place.fit import LAYERS_ARE_SPLIT
from labctl.place.group import Group


def splits(
    candidate: Candidate,
    quant: str,
    request: Request,
    group: Group,
    running: tuple[float, ...] | None = None,
) -> Iterator[Request]:
    """The request with each distinct split in whole layers; as it is where layers are not split.

    running: how it is split now. Usable memory is never quite the same twice, and nothing is to be restarted for that.
    """
    if running is not None and len(running) != len(group.cards):
        running = None
    # Layers that stay in RAM are not dealt out; `n_gpu_layers` counts the output as one of them.
    n_layers = min(candidate.layers[0], request.n_gpu_layers - 1)
    if len(group.cards) == 1 or candidate.engine not in LAYERS_ARE_SPLIT or n_layers < len(group.cards):
        yield request
        if running is not None and candidate.engine in LAYERS_ARE_SPLIT and running != request.tensor_split:
            yield replace(request, tensor_split=running)
        return
    equal = tuple(1.0 for _ in group.cards)
    usable = tuple(float(each) for each in group.usable_mib)
    seen = set()
    for split in (running, equal, usable, _fastest_first(candidate, quant, request, group, n_layers)):
        if split is None:
            continue
        total = sum(split)
        share = tuple(round(each / total, 6) for each in split)
        if share not in seen:
            seen.add(share)
            yield replace(request, tensor_split=split)


def _fastest_first(
    candidate: Candidate, quant: str, request: Request, group: Group, n_layers: int
) -> tuple[float, ...] | None:
    """Layers per card when the fastest is filled before the next; None where they do not all go anywhere."""
    try:
        even = candidate.estimate(quant, replace(request, tensor_split=tuple(1.0 for _ in group.cards)))
    except BadInput:
        return None
    per_layer = sum(card.of("weights") + card.of("kv_cache") for card in even.cards) / n_layers
    beside = max(card.high - card.of("weights") - card.of("kv_cache") for card in even.cards)
    order = sorted(
        range(len(group.cards)), key=lambda index: (-(group.cards[index].gpu.bandwidth_gbs or 0.0), index)
    )
    layers, left = [0.0] * len(group.cards), n_layers
    for index in order:
        room = max(0, int((group.usable_mib[index] * MIB - beside) / per_layer))
        layers[index] = float(min(left, room))
        left -= int(layers[index])
    # A card without layers is a smaller group, which is tried by itself.
    return tuple(layers) if left == 0 and all(layers) else None
