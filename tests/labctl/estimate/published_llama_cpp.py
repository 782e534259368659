"""llama.cpp's load logs beside the estimate of the same model under the same options."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from labctl.edges import catalog
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.llama_cpp.estimate import estimate
from labctl.models.gguf_outline import outline
from labctl.models.model import Model
from labctl.models.tensor_rows import Beside

_PARTS = {"weights": "weights", "kv": "kv_cache", "compute": "compute"}


def components(case: dict[str, Any]) -> Iterator[tuple[str, float, Term]]:
    """Name, measured MiB and the estimate of each thing that a case measured."""
    found = estimate(model(case), request(case))
    for name, measured in case["measured_mib"].items():
        if isinstance(measured, list):
            part = _PARTS[name.split("_")[0]]
            cards = [card for card in found.cards if card.of("weights")] or found.cards
            for index, (card, each) in enumerate(zip(cards, measured, strict=True)):
                yield f"{name.removesuffix('_cards')}", each, _sum(f"card {index}", card, part)
        elif name == "total":
            yield name, measured, _total(found)
        else:
            yield name, measured, _sum_of_places(name, found)


def model(case: dict[str, Any]) -> Model:
    """The catalogue's model, as large as the log says, and without what the fork or build did not know."""
    built = catalog.model(case["model"], case["quant"])
    layers = built.layers
    if case.get("windowless"):
        layers = tuple(
            replace(layer, attention=replace(layer.attention, window=None)) if layer.attention else layer
            for layer in layers
        )
    if "n_head_kv" in case:
        layers = tuple(
            replace(layer, attention=replace(layer.attention, n_head_kv=case["n_head_kv"]))
            if layer.attention
            else layer
            for layer in layers
        )
    built = replace(built, layers=layers, file_bytes=case.get("file_bytes", built.file_bytes))
    return replace(built, tensors=outline(built, Beside()))


def request(case: dict[str, Any]) -> Request:
    """The options of the run."""
    asked = dict(case["request"])
    if "tensor_split" in asked:
        asked["tensor_split"] = tuple(asked["tensor_split"])
    return Request(engine="llama.cpp", **asked)


def _sum_of_places(name: str, found: Estimate) -> Term:
    part = _PARTS[name.split("_", maxsplit=1)[0]]
    places: tuple[PlaceEstimate, ...] = (*found.cards, found.host)
    if name.endswith("_card"):
        places = found.cards
    if name.endswith("_host"):
        places = (found.host,)
    terms = [_sum(name, place, part) for place in places]
    return Term(
        "weights", name, sum(term.low for term in terms), sum(term.expected for term in terms),
        sum(term.high for term in terms), "", "",
    )  # fmt: skip


def _sum(name: str, place: PlaceEstimate, part: str) -> Term:
    terms = [term for term in place.terms if term.part == part]
    low, expected, high = (sum(getattr(term, each) for term in terms) for each in ("low", "expected", "high"))
    return Term("compute", name, low, expected, high, "", "")


def _total(found: Estimate) -> Term:
    """All of one card; the tables count what the process took of it, context included."""
    card = found.cards[0]
    if not card.terms:
        return exact("weights", "total", 0, "", "")
    return Term("weights", "total", card.low, card.expected, card.high, "", str(MIB))
