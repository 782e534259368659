"""What the catalogue has beside what was asked for: other formats, smaller models, cards to add."""

import re
from collections.abc import Sequence
from functools import cache

from labctl.edges import catalog
from labctl.edges.candidate_kinds import GGUF_QUANTS, IMAGE_QUANTS, VLLM_QUANTS
from labctl.edges.wishes import wishes
from labctl.errors import BadInput
from labctl.place.options import Wish
from labctl.rig.gpu import Gpu
from labctl.workloads.workload import Workload

# By engine, finest first. Whisper in FP32 is what cards without 16-bit arithmetic run.
_FORMATS = {
    "llama.cpp": GGUF_QUANTS,
    "vllm": VLLM_QUANTS,
    "comfyui": IMAGE_QUANTS,
    "whisper": ("fp32", "fp16", "int8"),
}
# More of them would only be asked about, not shown.
_MOST_MODELS = 3
# `qwen2.5-7b`: the family, the size, and what stands behind it.
_SIZED = re.compile(r"^(?P<family>.+)-(?P<size>\d+(\.\d+)?)(?P<unit>[bm])(?P<rest>.*)$")
# Boards without a slot's edge, and those that only data centres buy.
_NO_SLOT = re.compile(r"sxm|nvl|jetson|^b200|^h100|^h200|^cmp-|^a10g$|^tesla-m10$|^a16$|-d$")


class CatalogueAlternatives:
    """`place.suggestion.Alternatives`, from the catalogue that labctl carries."""

    def __init__(self, where: str) -> None:
        """where: the workloads file, for messages."""
        self._where = where

    def wish(self, workload: Workload) -> Wish | None:
        """Looked up anew."""
        try:
            return next(iter(wishes((workload,), self._where)))
        except BadInput:
            return None

    def formats(self, wish: Wish) -> Sequence[str]:
        """None for a file or a repository, which has the format it has."""
        if wish.candidate is None or not _is_carried(wish.workload.model or ""):
            return ()
        return _FORMATS.get(wish.candidate.engine, ())

    def bits(self, quant: str) -> float:
        """As the catalogue has it."""
        return catalog.bits_per_weight(quant)

    def smaller_models(self, wish: Wish) -> Sequence[str]:
        """Of language models those of one family; of pictures and speech all of the kind."""
        name = wish.workload.model or ""
        if wish.candidate is None or not _is_carried(name):
            return ()
        return _smaller(name)[:_MOST_MODELS]

    def cards(self) -> Sequence[Gpu]:
        """Cards with a slot's edge; of equal memory first what a newer driver, a desk and a power supply like."""
        return _cards()


@cache
def _cards() -> tuple[Gpu, ...]:
    found = [gpu for gpu in catalog.gpus() if not gpu.unified_memory and not _NO_SLOT.search(gpu.name)]
    return tuple(
        sorted(
            found,
            key=lambda gpu: (
                gpu.memory_mib,
                gpu.capability < (7, 5),
                gpu.name.startswith(("tesla-", "quadro-")),
                gpu.tdp_watts or 0,
                gpu.name,
            ),
        )
    )


def _is_carried(name: str) -> bool:
    known = (catalog.model_names(), catalog.diffusion_names(), catalog.whisper_names())
    return any(name in each for each in known)


@cache
def _smaller(name: str) -> tuple[str, ...]:
    if name in catalog.whisper_names():
        sizes = {each: catalog.whisper_model(each).parameters for each in catalog.whisper_names()}
    elif name in catalog.diffusion_names():
        kind = catalog.diffusion_model(name).kind
        sizes = {
            each.name: each.backbone.experts * each.backbone.parameters
            for each in map(catalog.diffusion_model, catalog.diffusion_names())
            if each.kind == kind
        }
    else:
        return _of_family(name)
    smaller = [each for each in sizes if sizes[each] < sizes[name]]
    return tuple(sorted(smaller, key=lambda each: -sizes[each]))


def _of_family(name: str) -> tuple[str, ...]:
    """By their names, which say family and size."""
    if (asked := _SIZED.match(name)) is None:
        return ()
    sizes: dict[str, float] = {}
    for each in catalog.model_names():
        found = _SIZED.match(each)
        if found and (found["family"], found["rest"]) == (asked["family"], asked["rest"]):
            sizes[each] = float(found["size"]) * (1000 if found["unit"] == "b" else 1)
    smaller = [each for each in sizes if sizes[each] < sizes[name]]
    return tuple(sorted(smaller, key=lambda each: -sizes[each]))
