"""What an engine cannot do on a card, whatever its memory: for weights, KV cache and compute, each with its source.

Where a format is only slow there (FP8 weights on Ampere are multiplied in BF16, any weights on Pascal in FP32) nothing
is refused; `labctl.rig.dtypes` says in what it computes.
"""

from dataclasses import dataclass
from typing import Literal

from labctl.estimate.claim import Engine
from labctl.rig.dtypes import NEEDS, Dtype, Kernels, runs, support
from labctl.rig.gpu import Gpu

Part = Literal["weights", "kv_cache", "compute"]
_KERNELS: dict[Engine, Kernels] = {
    "llama.cpp": "llama.cpp",
    "ollama": "llama.cpp",
    "vllm": "vllm",
    "transformers": "torch",
    "diffusers": "torch",
    "comfyui": "torch",
    "training": "torch",
    "whisper": "ctranslate2",
}
_TITLES: dict[Kernels, str] = {
    "llama.cpp": "llama.cpp", "vllm": "vLLM", "torch": "PyTorch", "ctranslate2": "faster-whisper",
}  # fmt: skip
# Formats of safetensors by every name that the catalogue knows; all others are types of GGUF.
_NAMES: dict[Dtype, tuple[str, ...]] = {
    "fp32": ("fp32", "float32"),
    "fp16": ("float16", "fp16"),
    "bf16": ("bfloat16", "bf16"),
    "fp8": ("fp8", "fp8-dynamic", "w8a8-fp8", "float8"),
    "int8": ("int8", "w8a8", "w8a8-int8", "gptq-int8"),
    # NF4 is a table of 16 values: bitsandbytes unpacks it as others do four-bit integers.
    "int4": (
        "awq", "awq-int4", "int4", "gptq", "gptq-int4", "nf4", "bnb-4bit", "bnb-nf4-dq", "nf4-single", "bnb-nf4",
        "unsloth-4bit", "bnb-4bit-dynamic",
    ),
    "mxfp4": ("mxfp4-safetensors",),
}  # fmt: skip
STORED_AS: dict[str, Dtype] = {name: dtype for dtype, names in _NAMES.items() for name in names}
_AWQ = ("awq", "awq-int4", "int4")
# https://docs.vllm.ai/en/latest/features/quantization/: AWQ's kernels start a generation after GPTQ's.
_AWQ_FROM = (7, 5)
# "type fp8e4nv not supported in this architecture" on an RTX 3090: https://github.com/vllm-project/vllm/issues/26431
_FP8_KV_FROM = (8, 9)
FP8_KV_SOURCE = "https://github.com/vllm-project/vllm/issues/26431: no FP8 KV cache on Ampere"

GGML_KV_TYPES = ("f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
# `auto` is 16 bits everywhere; vLLM has no other name for it, and of smaller ones only FP8.
KV_TYPES: dict[Engine, tuple[str, ...]] = {
    "llama.cpp": GGML_KV_TYPES,
    "ollama": ("f16", "q8_0", "q4_0"),
    "vllm": ("f16", "fp8", "fp8_e4m3", "fp8_e5m2"),
    "transformers": ("f16",),
}


@dataclass(frozen=True)
class Unsupported:
    """Why a card cannot serve. part: None where the engine's kernels do not run there at all. sentence: for people."""

    part: Part | None
    sentence: str
    source: str


def unsupported(engine: Engine, quant: str, kv_type: str, gpu: Gpu) -> Unsupported | None:
    """What stands against a format of weights and of KV cache on a card; None when nothing does."""
    kernels = _KERNELS[engine]
    title = _TITLES[kernels]
    if not runs(gpu, kernels):
        least, source = NEEDS[kernels]
        needs = ".".join(str(each) for each in least)
        return Unsupported(
            None,
            f"{title} needs compute capability {needs}, {gpu.title} has {gpu.compute_capability}",
            source,
        )
    if kernels == "llama.cpp":
        return None  # its weights are GGUF of any type, and so is its KV cache
    name = quant.lower()
    found = support(gpu, STORED_AS.get(name, "gguf"), kernels)
    if not found.stores or (kernels == "vllm" and name in _AWQ and gpu.capability < _AWQ_FROM):
        part: Part = "compute" if found.dtype == "bf16" else "weights"
        return Unsupported(part, f"{title} has no {quant} kernels for {gpu.title}", found.source)
    if kernels == "vllm" and kv_type.startswith("fp8") and gpu.capability < _FP8_KV_FROM:
        return Unsupported("kv_cache", f"vLLM has no FP8 KV cache on {gpu.title}", FP8_KV_SOURCE)
    return None
