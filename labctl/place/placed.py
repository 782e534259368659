"""One variant of a model on given cards: what it takes there, how fast it is, and what rendering is told of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import ALL_LAYERS, MIB, Estimate, Request, mib
from labctl.place.fit import on_cards
from labctl.place.group import Group
from labctl.place.problem import decitokens
from labctl.place.splits import splits
from labctl.place.variants import Variant

# What cards decide, not the person who asked: a variant has it only once its cards are chosen.
OF_CARDS = ("tensor_split", "tensor_parallel")


@dataclass(frozen=True)
class Placed:
    """One variant on cards of these kinds, in their order.

    claims_mib: per card. ram_mib, disk_mib: of the model, without what the service itself takes.
    fits: on these cards while they are empty; only then there is a speed. variant, variant_id: as an option has them.
    """

    rank: int
    claims_mib: tuple[int, ...]
    ram_mib: int
    disk_mib: int
    decitokens_per_second: int | None
    fits: bool
    variant: Mapping[str, Any]
    variant_id: str


def placed(
    candidate: Candidate, variant: Variant, group: Group, running_id: str | None = None
) -> Iterator[Placed]:
    """With each split of its layers that the engine takes, whether it fits or not. running_id: what runs now."""
    # A hidden card: with one in sight llama.cpp would still compute large batches there.
    asked = on_cards(variant.request, group, candidate.engine) if group.cards else variant.request
    for request in splits(candidate, variant.quant, asked, group, _split(variant, running_id)):
        try:
            estimate = candidate.estimate(variant.quant, request)
        except BadInput:
            continue
        claims = tuple(mib(card.high) for card in estimate.cards[: len(group.cards)])
        fits = all(claim <= usable for claim, usable in zip(claims, group.usable_mib, strict=True))
        speed = candidate.speed(variant.quant, estimate, group.runners, group.processor) if fits else None
        told = described(variant.quant, request)
        yield Placed(
            variant.rank,
            claims,
            mib(estimate.host.high),
            _weights_mib(estimate),
            decitokens(speed.decode.expected if speed else None),
            fits,
            told,
            variant_id(told),
        )


def _weights_mib(estimate: Estimate) -> int:
    places = (*estimate.cards, estimate.host)
    return -(-sum(place.of("weights") for place in places) // MIB)


def described(quant: str, request: Request) -> dict[str, Any]:
    """What rendering needs to start the engine so that it holds what was claimed."""
    found: dict[str, Any] = {"engine": request.engine, "quant": quant, "parallel": request.parallel}
    if request.context:
        found |= {"context": request.context, "kv_type": request.kv_type_k}
    for name in ("n_cpu_moe", "tensor_split", "prompt_cache_mib"):
        if value := getattr(request, name):
            found[name] = list(value) if isinstance(value, tuple) else value
    if request.n_gpu_layers < ALL_LAYERS:
        found["n_gpu_layers"] = request.n_gpu_layers
    if request.tensor_parallel > 1:
        found["tensor_parallel"] = request.tensor_parallel
    return found


def variant_id(variant: Mapping[str, Any]) -> str:
    """The variant as one line of text, the same for the same settings."""
    return json.dumps(variant, sort_keys=True, separators=(",", ":"))


def _split(variant: Variant, running_id: str | None) -> tuple[float, ...] | None:
    """How the layers of what runs now are split, if it is this variant."""
    if running_id is None or not may_become(variant, running_id):
        return None
    split = json.loads(running_id).get("tensor_split")
    numbers = isinstance(split, list) and all(isinstance(each, float) and each >= 0 for each in split)
    return tuple(split) if numbers and any(split) else None


def may_become(variant: Variant, wanted_id: str) -> bool:
    """Whether some cards could give this variant that id."""
    try:
        wanted = json.loads(wanted_id)
    except ValueError:
        return False
    if not isinstance(wanted, dict):
        return False
    told = described(variant.quant, variant.request)
    return all(
        told.get(key) == wanted.get(key) for key in (told.keys() | wanted.keys()) if key not in OF_CARDS
    )
