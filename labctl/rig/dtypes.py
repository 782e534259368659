"""Which number formats a card can hold, and in which it computes, engine by engine.

The two differ: an RTX 3090 keeps FP8 weights and multiplies in BF16; a P40 keeps FP16 and multiplies in FP32. And
engines differ: vLLM does not start on a P40, where llama.cpp and ComfyUI run.
"""

from dataclasses import dataclass
from typing import Literal

from labctl.rig.gpu import Gpu

Dtype = Literal["fp32", "fp16", "bf16", "int8", "fp8", "fp4", "int4", "mxfp4", "gguf"]
# Kernels, not programs: Ollama runs llama.cpp's; transformers, diffusers, ComfyUI and trainers run PyTorch's;
# faster-whisper runs CTranslate2's.
Kernels = Literal["llama.cpp", "vllm", "torch", "ctranslate2"]
# Tables of arithmetic throughput, one per compute capability.
GUIDE = "CUDA C++ Programming Guide, Arithmetic Instructions and Compute Capabilities"
VLLM = "vLLM documentation, https://docs.vllm.ai/en/latest/features/quantization/: Supported Hardware"
VLLM_NEEDS = "vLLM documentation, installation: compute capability 7.0 or higher"
GGML = "llama.cpp, ggml-cuda: quantized products by dp4a from 6.1 on, else in floating point"
TORCH = "PyTorch: any card stores any type, products of FP8 from 8.9 on; bitsandbytes: int8 from 7.5, NF4 from 6.0"
CTRANSLATE2 = (
    "CTranslate2 documentation, quantization: int8 from 6.1 except 6.2, float16 from 7.0, bfloat16 from 8.0"
)
Capability = tuple[int, int]
_NEVER: Capability = (99, 0)
# Below these, kernels do not run at all. CUDA 12 ends at 5.0; so do the builds of PyTorch and llama.cpp made with it.
NEEDS: dict[Kernels, tuple[Capability, str]] = {
    "llama.cpp": ((5, 0), "CUDA 12 toolkit release notes: compute capability 5.0 and later"),
    "vllm": ((7, 0), VLLM_NEEDS),
    "torch": ((5, 0), "PyTorch wheels for CUDA 12.6: 5.0 to 9.0; those for 12.8 and later: 7.5 to 12.0"),
    "ctranslate2": ((5, 0), "CUDA 12 toolkit release notes: compute capability 5.0 and later"),
}


@dataclass(frozen=True)
class Support:
    """One format on one card. native: multiplied as it is; otherwise `computes_in` says what it is turned into."""

    dtype: Dtype
    stores: bool
    native: bool
    computes_in: Dtype | None
    source: str


def runs(gpu: Gpu, kernels: Kernels) -> bool:
    """Whether these kernels run on a card at all."""
    return gpu.capability >= NEEDS[kernels][0]


def supports(gpu: Gpu, kernels: Kernels) -> tuple[Support, ...]:
    """Every format on one card, as one engine's kernels use it; nothing is stored where they do not run."""
    every = {
        "llama.cpp": _llama_cpp(gpu),
        "vllm": _vllm(gpu),
        "torch": _torch(gpu),
        "ctranslate2": _ctranslate2(gpu),
    }[kernels]
    if runs(gpu, kernels):
        return every
    return tuple(Support(each.dtype, False, False, None, NEEDS[kernels][1]) for each in every)


def support(gpu: Gpu, dtype: Dtype, kernels: Kernels) -> Support:
    """One format on one card."""
    return next(each for each in supports(gpu, kernels) if each.dtype == dtype)


def half(gpu: Gpu) -> Dtype:
    """In what FP16 weights are multiplied: 6.1 has FP16 at 1/64 of its FP32 rate and 5.2 none at all."""
    fast = gpu.capability >= (7, 0) or gpu.capability in ((5, 3), (6, 0), (6, 2))
    return "fp16" if fast else "fp32"


def wide(gpu: Gpu) -> Dtype:
    """In what weights of few bits are multiplied once they are unpacked."""
    return "bf16" if gpu.capability >= (8, 0) else half(gpu)


def _plain(gpu: Gpu, source: str, *, bf16_from: Capability = (0, 0)) -> tuple[Support, ...]:
    """FP32, FP16 and BF16. bf16_from: below it an engine refuses BF16 weights, though they could be kept."""
    at = gpu.capability
    keeps = at >= bf16_from
    return (
        Support("fp32", True, True, "fp32", GUIDE),
        Support("fp16", True, half(gpu) == "fp16", half(gpu), GUIDE),
        Support("bf16", keeps, at >= (8, 0), ("bf16" if at >= (8, 0) else "fp32") if keeps else None, source),
    )


def _kept(
    gpu: Gpu, dtype: Dtype, source: str, *, stored_from: Capability, native_from: Capability = _NEVER
) -> Support:
    """A format of few bits: multiplied as it is from one generation on, before that turned into a wide one."""
    at = gpu.capability
    stores = at >= stored_from
    native = stores and at >= native_from
    return Support(dtype, stores, native, (dtype if native else wide(gpu)) if stores else None, source)


def _vllm(gpu: Gpu) -> tuple[Support, ...]:
    return (
        *_plain(gpu, VLLM_NEEDS + "; bfloat16 from 8.0", bf16_from=(8, 0)),
        _kept(gpu, "int8", VLLM, stored_from=(7, 5), native_from=(7, 5)),
        _kept(gpu, "fp8", VLLM, stored_from=(7, 5), native_from=(8, 9)),
        _kept(gpu, "fp4", VLLM, stored_from=(7, 5), native_from=(10, 0)),
        _kept(gpu, "int4", VLLM + " (GPTQ from 7.0, AWQ from 7.5)", stored_from=(7, 0)),
        _mxfp4(gpu, VLLM + " (not by Marlin on Turing)", stored_from=(8, 0), native_from=(10, 0)),
        _kept(gpu, "gguf", VLLM, stored_from=(7, 0)),
    )


def _llama_cpp(gpu: Gpu) -> tuple[Support, ...]:
    """Its weights are GGUF of any type; safetensors' formats are none of its own."""
    whole: Dtype = "int8" if gpu.capability >= (6, 1) else half(gpu)
    none: tuple[Dtype, ...] = ("int8", "fp8", "fp4", "int4")
    return (
        *_plain(gpu, GGML),
        *(Support(dtype, False, False, None, GGML) for dtype in none),
        Support("mxfp4", True, False, whole, GGML),
        Support("gguf", True, False, whole, GGML),
    )


def _torch(gpu: Gpu) -> tuple[Support, ...]:
    return (
        *_plain(gpu, TORCH),
        _kept(gpu, "int8", TORCH, stored_from=(7, 5), native_from=(7, 5)),
        _kept(gpu, "fp8", TORCH, stored_from=(5, 0), native_from=(8, 9)),
        _kept(gpu, "fp4", TORCH, stored_from=(6, 0)),
        _kept(gpu, "int4", TORCH, stored_from=(6, 0)),
        _mxfp4(gpu, TORCH, stored_from=(7, 5), native_from=_NEVER),
        _kept(gpu, "gguf", "ComfyUI-GGUF, diffusers: unpacked layer by layer", stored_from=(5, 0)),
    )


def _ctranslate2(gpu: Gpu) -> tuple[Support, ...]:
    at = gpu.capability
    whole = (at >= (7, 0)) or at == (6, 1)
    none: tuple[Dtype, ...] = ("fp8", "fp4", "int4", "mxfp4", "gguf")
    return (
        Support("fp32", True, True, "fp32", CTRANSLATE2),
        Support("fp16", at >= (7, 0), at >= (7, 0), "fp16" if at >= (7, 0) else None, CTRANSLATE2),
        Support("bf16", at >= (8, 0), at >= (8, 0), "bf16" if at >= (8, 0) else None, CTRANSLATE2),
        Support("int8", whole, whole, "int8" if whole else None, CTRANSLATE2),
        *(Support(dtype, False, False, None, CTRANSLATE2) for dtype in none),
    )


def _mxfp4(gpu: Gpu, source: str, *, stored_from: Capability, native_from: Capability) -> Support:
    """Products of MXFP4 are products of FP4."""
    found = _kept(gpu, "mxfp4", source, stored_from=stored_from, native_from=native_from)
    return Support("mxfp4", found.stores, found.native, "fp4" if found.native else found.computes_in, source)
