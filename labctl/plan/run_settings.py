"""What a plan's `variant` and `training` must hold: two mappings of which its types say no more than that."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labctl.plan.plan import PlannedWorkload

# As `labctl.place.placed.described` writes them, each with the least that it can be; `vram_mib` is a declared claim's.
_NUMBERS = {
    "context": 1,
    "parallel": 1,
    "tensor_parallel": 1,
    "n_cpu_moe": 0,
    "n_gpu_layers": 0,
    "prompt_cache_mib": 0,
    "vram_mib": 0,
}
_WORDS = ("engine", "quant", "kv_type")
# Of `labctl.workloads.workload.FineTuning`.
_TRAINING_NUMBERS, _METHODS = ("batch", "sequence", "rank"), ("full", "lora", "qlora")
_MOST = 2**53
_SHOWN = 60

Wrong = tuple[str, str, str, str]


def wrong_settings(workloads: Mapping[str, PlannedWorkload]) -> Iterator[Wrong]:
    """Place, message, found and expected of all that no plan of ours says."""
    for name, workload in sorted(workloads.items()):
        for place, message, found, expected in (*_variant(workload), *_training(workload)):
            yield f"workloads.{name}.{place}", message, found, expected


def shown(value: object) -> str:
    """As it stands in the file, no longer than a line."""
    return json.dumps(value, ensure_ascii=False)[:_SHOWN]


def _variant(workload: PlannedWorkload) -> Iterator[Wrong]:
    variant = workload.variant
    for key, least in _NUMBERS.items():
        if key in variant:
            yield from _number(f"variant.{key}", variant[key], least)
    for key in _WORDS:
        if key in variant and not _is_word(variant[key]):
            yield _cannot_be(f"variant.{key}", variant[key], "a word")
    if "tensor_split" in variant and not _is_split(variant["tensor_split"]):
        yield _cannot_be(
            "variant.tensor_split", variant["tensor_split"], "a list of numbers, one for each card"
        )
    if "engine" not in variant:
        return
    for key in ("quant", "parallel"):
        if key not in variant:
            yield _missing(f"variant.{key}")
    if variant["engine"] == "vllm" and not workload.cards:
        yield "cards", "vLLM runs on cards alone", "none", "at least one"


def _training(workload: PlannedWorkload) -> Iterator[Wrong]:
    training = workload.training
    if training is None:
        return
    for key in ("method", "optimizer", *_TRAINING_NUMBERS):
        if key not in training:
            yield _missing(f"training.{key}")
    for key in _TRAINING_NUMBERS:
        if key in training:
            yield from _number(f"training.{key}", training[key], 1)
    if "method" in training and training["method"] not in _METHODS:
        yield _cannot_be("training.method", training["method"], f"one of {', '.join(_METHODS)}")
    if "optimizer" in training and not _is_word(training["optimizer"]):
        yield _cannot_be("training.optimizer", training["optimizer"], "a word")


def _number(place: str, value: object, least: int) -> Iterator[Wrong]:
    if type(value) is not int or value < least:  # to Python, true is a number
        yield _cannot_be(place, value, f"a whole number of {least} or more")


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_split(value: Any) -> bool:
    """No number in it is so large that it could not be written."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(each) in (int, float) and 0 <= each < _MOST for each in value)
    )


def _cannot_be(place: str, value: object, expected: str) -> Wrong:
    return place, "this value cannot be", shown(value), expected


def _missing(place: str) -> Wrong:
    return place, "a key is missing", "", place.rpartition(".")[2]
