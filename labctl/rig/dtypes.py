"""Which number formats a card can hold, and in which it computes, as the engines use them.

The two differ: an RTX 3090 keeps FP8 weights and multiplies in BF16; a P40 keeps FP16 and multiplies in FP32.
"""

from dataclasses import dataclass
from typing import Literal

from labctl.rig.gpu import Gpu

Dtype = Literal["fp32", "fp16", "bf16", "int8", "fp8", "fp4", "int4", "mxfp4", "gguf"]
# Tables of arithmetic throughput, one per compute capability.
GUIDE = "CUDA C++ Programming Guide, Arithmetic Instructions and Compute Capabilities"
VLLM = "vLLM documentation, Supported Hardware for Quantization Kernels"
GGML = "llama.cpp, ggml-cuda: quantized products by dp4a from 6.1 on, else in floating point"


@dataclass(frozen=True)
class Support:
    """One format on one card. native: multiplied as it is; otherwise `computes_in` says what it is turned into."""

    dtype: Dtype
    stores: bool
    native: bool
    computes_in: Dtype | None
    source: str


def supports(gpu: Gpu) -> tuple[Support, ...]:
    """Every format, for one card."""
    at = gpu.capability
    # 6.1 has FP16 at 1/64 of its FP32 rate and 5.2 none: llama.cpp multiplies in FP32 there. Others have it at twice.
    fast_fp16 = at >= (7, 0) or at in ((5, 3), (6, 0), (6, 2))
    half: Dtype = "fp16" if fast_fp16 else "fp32"
    wide: Dtype = "bf16" if at >= (8, 0) else half
    # dp4a from 6.1 on; 6.2 and 7.0 have it too.
    whole: Dtype = "int8" if at >= (6, 1) else half
    return (
        Support("fp32", True, True, "fp32", GUIDE),
        Support("fp16", True, fast_fp16, half, GUIDE),
        Support("bf16", True, at >= (8, 0), "bf16" if at >= (8, 0) else "fp32", GUIDE),
        Support("int8", True, at >= (6, 1), whole, GUIDE),
        _quantized("fp8", at, "fp8", stored_from=(7, 5), native_from=(8, 9), otherwise=wide),
        _quantized("fp4", at, "fp4", stored_from=(8, 0), native_from=(10, 0), otherwise=wide),
        _quantized("mxfp4", at, "fp4", stored_from=(8, 0), native_from=(10, 0), otherwise=wide),
        Support("int4", at >= (7, 5), False, wide if at >= (7, 5) else None, VLLM),
        Support("gguf", True, False, whole, GGML),
    )


def support(gpu: Gpu, dtype: Dtype) -> Support:
    """One format on one card."""
    return next(each for each in supports(gpu) if each.dtype == dtype)


def _quantized(
    dtype: Dtype,
    at: tuple[int, int],
    native: Dtype,
    *,
    stored_from: tuple[int, int],
    native_from: tuple[int, int],
    otherwise: Dtype,
) -> Support:
    computes_in = native if at >= native_from else otherwise
    return Support(
        dtype, at >= stored_from, at >= native_from, computes_in if at >= stored_from else None, VLLM
    )
