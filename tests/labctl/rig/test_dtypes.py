"""Formats by card and engine, against what the engines' own documents say of each generation."""

import pytest

from labctl.edges import catalog
from labctl.rig.dtypes import Dtype, Kernels, runs, support, supports

# One card per compute capability, Kepler to Blackwell.
BY_CAPABILITY = {
    "3.7": "tesla-k80", "5.0": "gtx-750-ti", "5.2": "tesla-m40-24gb", "6.0": "tesla-p100-pcie-16gb", "6.1": "tesla-p40",
    "7.0": "tesla-v100-pcie-16gb", "7.5": "rtx-2080-ti", "8.0": "a100-sxm4-80gb", "8.6": "rtx-3090",
    "8.7": "jetson-agx-orin-64gb", "8.9": "rtx-4090", "9.0": "h100-sxm5-80gb", "10.0": "b200", "12.0": "rtx-5090",
    "12.1": "dgx-spark",
}  # fmt: skip
ENGINES: tuple[Kernels, ...] = ("llama.cpp", "vllm", "torch", "ctranslate2")


def at(capability: str, dtype: Dtype, engine: Kernels) -> tuple[bool, bool, str | None]:
    found = support(catalog.gpu(BY_CAPABILITY[capability]), dtype, engine)
    return found.stores, found.native, found.computes_in


def test_the_cards_are_of_their_generation() -> None:
    assert {catalog.gpu(name).compute_capability for name in BY_CAPABILITY.values()} == set(BY_CAPABILITY)
    in_catalogue = {card.compute_capability for card in catalog.gpus()}
    assert in_catalogue - set(BY_CAPABILITY) <= {"11.0"}


@pytest.mark.parametrize(
    ("engine", "first"), [("vllm", "7.0"), ("llama.cpp", "5.0"), ("torch", "5.0"), ("ctranslate2", "5.0")]
)
def test_where_an_engine_starts(engine: Kernels, first: str) -> None:
    order = list(BY_CAPABILITY)
    for capability, name in BY_CAPABILITY.items():
        assert runs(catalog.gpu(name), engine) is (order.index(capability) >= order.index(first))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("capability", BY_CAPABILITY)
def test_what_is_not_stored_is_not_computed(engine: Kernels, capability: str) -> None:
    card = catalog.gpu(BY_CAPABILITY[capability])
    every = supports(card, engine)
    assert len({each.dtype for each in every}) == len(every) == 9
    for each in every:
        assert each.stores is (each.computes_in is not None)
        assert each.stores or not each.native
        assert each.source
        assert runs(card, engine) or not each.stores


@pytest.mark.parametrize(
    ("engine", "capability", "dtype", "expected"),
    [
        # vLLM, Supported Hardware: FP8 products from Ada on, FP8 weights by Marlin from Turing on.
        ("vllm", "8.9", "fp8", (True, True, "fp8")),
        ("vllm", "9.0", "fp8", (True, True, "fp8")),
        ("vllm", "12.0", "fp8", (True, True, "fp8")),
        ("vllm", "8.6", "fp8", (True, False, "bf16")),
        ("vllm", "7.5", "fp8", (True, False, "fp16")),
        ("vllm", "7.0", "fp8", (False, False, None)),
        # "Bfloat16 is only supported on GPUs with compute capability of at least 8.0."
        ("vllm", "8.0", "bf16", (True, True, "bf16")),
        ("vllm", "7.5", "bf16", (False, False, None)),
        ("vllm", "7.5", "fp16", (True, True, "fp16")),
        ("vllm", "7.5", "int8", (True, True, "int8")),
        ("vllm", "7.0", "int8", (False, False, None)),
        ("vllm", "7.0", "int4", (True, False, "fp16")),
        ("vllm", "8.6", "int4", (True, False, "bf16")),
        # Turing does not support Marlin MXFP4.
        ("vllm", "7.5", "mxfp4", (False, False, None)),
        ("vllm", "7.5", "fp4", (True, False, "fp16")),
        ("vllm", "8.6", "mxfp4", (True, False, "bf16")),
        ("vllm", "10.0", "mxfp4", (True, True, "fp4")),
        ("vllm", "12.1", "fp4", (True, True, "fp4")),
        ("vllm", "6.1", "fp16", (False, False, None)),
        # ggml-cuda: dp4a from 6.1 on; FP16 at 1/64 on 6.1, so in FP32 there.
        ("llama.cpp", "6.1", "gguf", (True, False, "int8")),
        ("llama.cpp", "6.0", "gguf", (True, False, "fp16")),
        ("llama.cpp", "5.2", "gguf", (True, False, "fp32")),
        ("llama.cpp", "6.1", "fp16", (True, False, "fp32")),
        ("llama.cpp", "6.1", "mxfp4", (True, False, "int8")),
        ("llama.cpp", "7.5", "bf16", (True, False, "fp32")),
        ("llama.cpp", "8.6", "fp8", (False, False, None)),
        ("llama.cpp", "3.7", "gguf", (False, False, None)),
        # ComfyUI keeps FP8 weights on any card and casts them.
        ("torch", "6.1", "fp8", (True, False, "fp32")),
        ("torch", "8.6", "fp8", (True, False, "bf16")),
        ("torch", "8.9", "fp8", (True, True, "fp8")),
        ("torch", "5.2", "int4", (False, False, None)),
        ("torch", "7.5", "int4", (True, False, "fp16")),
        ("torch", "6.1", "bf16", (True, False, "fp32")),
        # CTranslate2: types that a card has not are not kept as such.
        ("ctranslate2", "6.1", "int8", (True, True, "int8")),
        ("ctranslate2", "6.1", "fp16", (False, False, None)),
        ("ctranslate2", "6.0", "int8", (False, False, None)),
        ("ctranslate2", "8.6", "bf16", (True, True, "bf16")),
    ],
)  # fmt: skip
def test_formats_by_generation(
    engine: Kernels, capability: str, dtype: Dtype, expected: tuple[bool, bool, str | None]
) -> None:
    assert at(capability, dtype, engine) == expected


def test_storing_and_computing_are_apart() -> None:
    ampere, pascal = catalog.gpu("rtx-3090"), catalog.gpu("tesla-p40")
    assert support(ampere, "fp8", "vllm").stores
    assert not support(ampere, "fp8", "vllm").native
    assert support(pascal, "fp16", "torch").computes_in == "fp32"
