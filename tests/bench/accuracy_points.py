"""What was measured and what labctl says of it, in the terms that other estimators speak: weights, cache, total."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from labctl.edges import catalog
from labctl.estimate import vllm
from labctl.estimate.claim import MIB
from labctl.estimate.llama_cpp.estimate import estimate as estimate_llama_cpp
from labctl.models.model import Model
from tests.labctl.estimate import published_llama_cpp
from tests.labctl.estimate.published import compared_training, compared_transformers, document

Component = Literal["weights", "kv", "total", "training"]


@dataclass(frozen=True)
class Subject:
    """What an estimator is asked about. context: tokens per request. method: of training, else empty."""

    model: Model
    gguf: bool
    context: int
    parallel: int = 1
    kv_type: str = "f16"
    ubatch: int = 512
    flash_attention: bool = True
    method: str = ""


@dataclass(frozen=True)
class Point:
    """One measurement, MiB, and labctl's estimate of the same thing by the same meter.

    fitted: a constant of labctl's was taken from it.
    """

    case: str
    engine: str
    component: Component
    measured: float
    estimated: float
    subject: Subject
    fitted: bool = False


def all_points() -> tuple[Point, ...]:
    """Every measurement that some other estimator could speak of."""
    return (*_llama_cpp(), *_vllm(), *_transformers(), *_training())


def _llama_cpp() -> Iterator[Point]:
    for case in document("llama_cpp")["cases"]:
        model, request = published_llama_cpp.model(case), published_llama_cpp.request(case)
        subject = Subject(
            model, True, request.context, request.parallel, request.kv_type_k, request.ubatch or 512,
            request.flash_attention is not False,
        )  # fmt: skip
        found = estimate_llama_cpp(model, request)
        measured = case["measured_mib"]
        card = sum(each.of("weights") for each in found.cards) / MIB
        if "weights_card" in measured:
            yield Point(case["id"], "llama.cpp", "weights", measured["weights_card"], card, subject)
        elif "weights" in measured:
            everywhere = card + found.host.of("weights") / MIB
            yield Point(case["id"], "llama.cpp", "weights", measured["weights"], everywhere, subject)
        if "kv" in measured:
            cache = (sum(each.of("kv_cache") for each in found.cards) + found.host.of("kv_cache")) / MIB
            yield Point(case["id"], "llama.cpp", "kv", measured["kv"], cache, subject)
        if "total" in measured:
            total = found.cards[0].expected / MIB
            yield Point(case["id"], "llama.cpp", "total", measured["total"], total, subject)


def _vllm() -> Iterator[Point]:
    for case in document("vllm")["cases"]:
        if case["tensor_parallel"] != 1:
            continue
        model, measured = catalog.model(case["model"], case["quant"]), case["measured_mib"]
        major, minor = (int(each) for each in case["compute_capability"].split("."))
        weights = vllm.weights_term(model, 1, (major, minor)).expected / MIB
        if "weights" in measured:
            subject, fitted = Subject(model, False, 1), "weights" in case["fitted"]
            yield Point(case["id"], "vLLM", "weights", measured["weights"], weights, subject, fitted)
        if "kv_tokens" in measured:
            tokens = int(measured["kv_tokens"])
            cache = sum(vllm.layer_token_bytes(each, 1, "auto") for each in model.layers) * tokens / MIB
            subject = Subject(model, False, tokens)
            yield Point(case["id"], "vLLM", "kv", measured["kv_reserved"], cache, subject)


def _transformers() -> Iterator[Point]:
    estimated = {each.case: each for each in compared_transformers()}
    for case in document("transformers")["cases"]:
        model, compared = catalog.model(case["model"], case["quant"]), estimated[case["id"]]
        subject = Subject(model, False, case["prompt"] + case["generated"])
        measured, expected = compared.measured, compared.expected
        yield Point(case["id"], case["engine"], "total", measured, expected, subject, compared.fitted)


def _training() -> Iterator[Point]:
    estimated = {each.case: each for each in compared_training()}
    for case in document("training")["cases"]:
        if case["request"].get("n_gpus", 1) > 1:
            continue
        model, compared = catalog.model(case["model"], case["quant"]), estimated[case["id"]]
        subject = Subject(model, False, case["request"]["sequence"], method=case["request"]["method"])
        measured, expected = compared.measured, compared.expected
        yield Point(case["id"], case["engine"], "training", measured, expected, subject, compared.fitted)


def left_to_labctl() -> dict[str, str]:
    """What is measured and compared, but no other estimator speaks of."""
    cases: list[dict[str, Any]] = document("vllm")["cases"]
    sharded = sum(case["tensor_parallel"] > 1 for case in cases)
    return {
        f"{len(document('diffusion')['cases'])} cases of diffusion": "peaks of image and video pipelines",
        f"{sharded} cases of vLLM": "what one rank of several holds",
        "activations, graphs, non-torch memory, compute buffers": "no other estimator itemises them",
    }
