"""Which format a Hugging Face directory's weights are in, and what its packed tensors stand for.

quantization_config: https://huggingface.co/docs/transformers/main/en/quantization/overview
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labctl.models.model import ParameterCounts, Tensor

_WHOLE = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "float32": "fp32",
    "bf16": "bf16",
    "f16": "fp16",
    "f32": "fp32",
}
# What a weight takes where only the format's name is known, scales included (catalog/quantizations.yaml).
_BITS = {
    "fp8": 8.0, "int8": 8.0, "awq": 4.16, "awq-int4": 4.16, "gptq-int4": 4.16, "int4": 4.25, "nf4": 4.13,
    "nf4-single": 4.5, "fp4": 4.5, "nvfp4": 4.5, "mxfp4": 4.25, "fp32": 32.0, "gptq-int8": 8.16,
    "gptq-int3": 3.25, "gptq-int2": 2.25,
}  # fmt: skip
# Names that say how a weight is to be read, and are no weights.
_ABOUT_WEIGHTS = (
    ".scales", ".qzeros", ".g_idx", ".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".input_scale",
    ".weight_shape", ".absmax",
    ".weight_zero_point", ".weight_global_scale", ".input_global_scale", ".quant_map", ".nested_absmax", ".SCB",
    ".nested_quant_map", "_scales", ".weight_format", ".k_scale", ".v_scale", ".output_scale", ".weight_g_idx",
)  # fmt: skip
_OUTPUTS = ("lm_head", "embed_out", "output_layer.")
_EXPERTS = (".experts.", "block_sparse_moe.input_linear", "block_sparse_moe.output_linear")
_EMBEDDINGS = (
    "embed_tokens",
    "word_embeddings",
    ".wte.",
    "wte.weight",
    "embeddings.weight",
    "backbone.embedding",
)
_OUTSIDE = (
    "vision",
    "visual",
    "audio",
    "multi_modal",
    "mm_projector",
    "image_newline",
    "embed_vision",
    "talker",
)


def quant_name(config: Mapping[str, Any], tensors: Iterable[Tensor]) -> str:
    """The name people use: bf16, fp8, awq, gptq-int4, nf4, int8, mxfp4, nvfp4 …"""
    quantization = config.get("quantization_config")
    if isinstance(quantization, dict):
        return _method(quantization)
    by_type: Counter[str] = Counter()
    for tensor in tensors:
        by_type[tensor.type] += tensor.n_bytes
    if by_type:
        common = by_type.most_common(1)[0][0]
        return "fp8" if common.startswith("f8") else _WHOLE.get(common, common)
    dtype = str(config.get("torch_dtype") or config.get("dtype") or "bfloat16")
    return _WHOLE.get(dtype.removeprefix("torch."), "bf16")


def estimated_bytes(parameters: ParameterCounts, quant: str) -> int:
    """What weights would take that nobody saw. Quantizations leave embedding, output and towers in 16 bits."""
    if quant in ("bf16", "fp16", "fp32"):
        return parameters.total * (4 if quant == "fp32" else 2)
    wide = parameters.embedding + parameters.output + parameters.other
    packed = parameters.experts
    if quant == "mxfp4":  # the experts alone
        wide += parameters.layers
    else:
        packed += parameters.layers
    return 2 * wide + int(packed * _BITS.get(quant, 16.0) / 8)


def is_output(name: str) -> bool:
    """Whether this tensor is the projection to the vocabulary."""
    return name == "output.weight" or any(word in name for word in _OUTPUTS)


def counted_tensors(config: Mapping[str, Any], tensors: Sequence[Tensor]) -> ParameterCounts:
    """Parameters by part. A packed tensor counts for what it stands for, a scale for nothing."""
    quantization = config.get("quantization_config")
    bits = _bits(quantization) if isinstance(quantization, dict) else 0
    names = {tensor.name for tensor in tensors}
    counts: Counter[str] = Counter()
    for tensor in tensors:
        if (
            isinstance(quantization, dict) and tensor.name.endswith(_ABOUT_WEIGHTS)
        ) or "quant_state" in tensor.name:
            continue
        counts[_part(tensor.name)] += tensor.n_elements * _packed(tensor, names, bits)
    return ParameterCounts(
        **{part: counts[part] for part in ("embedding", "output", "layers", "experts", "other")}
    )


def _part(name: str) -> str:
    if any(word in name for word in _OUTSIDE):
        return "other"
    if any(word in name for word in _EMBEDDINGS):
        return "embedding"
    if is_output(name):
        return "output"
    return "experts" if any(word in name for word in _EXPERTS) else "layers"


def _packed(tensor: Tensor, names: set[str], bits: int) -> int:
    """Weights in one element."""
    if tensor.name.endswith((".qweight", ".weight_packed")) and tensor.type in ("i32", "u8") and bits:
        return (32 if tensor.type == "i32" else 8) // bits
    if tensor.name.endswith("_blocks") and tensor.type == "u8":
        return 2
    if tensor.type == "u8" and (f"{tensor.name}.absmax" in names or f"{tensor.name}_scale" in names):
        return 2  # bitsandbytes, ModelOpt
    return 1


def _method(quantization: Mapping[str, Any]) -> str:
    method = str(quantization.get("quant_method") or "").lower()[:40]
    bits = _bits(quantization)
    if "bitsandbytes" in method or (not method and "load_in_4bit" in quantization):
        if quantization.get("load_in_8bit") is True:
            return "int8"
        if quantization.get("bnb_4bit_quant_type") == "fp4":
            return "fp4"
        return "nf4" if quantization.get("bnb_4bit_use_double_quant") is True else "nf4-single"
    if method in ("compressed-tensors", "compressed_tensors", "quark", "modelopt", "fbgemm_fp8"):
        return _compressed(quantization, method, bits)
    if method in ("awq", "gptq"):
        return f"{method}-int{bits or 4}"
    return method or "quantized"


def _compressed(quantization: Mapping[str, Any], method: str, bits: int) -> str:
    weights = _weights_of(quantization)
    algorithm = str(quantization.get("quant_algo") or quantization.get("format") or method).lower()
    if "nvfp4" in algorithm or (bits == 4 and weights.get("type") == "float"):
        return "nvfp4"
    if "fp8" in algorithm or "float-quantized" in algorithm or (bits == 8 and weights.get("type") == "float"):
        return "fp8"
    return f"int{bits}" if bits else method


def _bits(quantization: Mapping[str, Any]) -> int:
    value = quantization.get("bits", quantization.get("w_bit", _weights_of(quantization).get("num_bits")))
    return value if type(value) is int and 0 < value <= 16 else 0


def _weights_of(quantization: Mapping[str, Any]) -> Mapping[str, Any]:
    """compressed-tensors: what holds for the first group of layers."""
    groups = quantization.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        if isinstance(group, dict) and isinstance(group.get("weights"), dict):
            return dict(group["weights"])
    return {}
