"""Which type llama.cpp gives a tensor of a quantized file, and how many bits that makes of each weight.

Follows llama_tensor_get_type and its fallbacks (src/llama-quant.cpp): rows that a block does not divide get a wider
type.
"""

from math import prod

from labctl.models.ggml_types import BY_NAME
from labctl.models.model import Tensor

# The output projection of K and I quantizations; an embedding that is the output as well too.
_OUTPUT_TYPE = "q6_k"
_EMBEDDING_TYPES = {
    "Q2": "q2_k",
    "Q3": "q3_k",
    "Q4_0": "q4_0",
    "Q4_K": "q4_k",
    "Q5_K": "q5_k",
    "IQ2": "q2_k",
    "IQ3": "iq3_s",
    "IQ4_XS": "iq4_xs",
    "IQ4_NL": "iq4_nl",
}
_WHOLE = {"Q8_0": "q8_0", "F16": "f16", "BF16": "bf16", "Q6_K": "q6_k", "MXFP4": "q8_0"}
_FALLBACK = {"q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
_FUSED_TYPES = {"Q3_K_M": "q4_k", "Q3_K_L": "q4_k", "Q4_K_M": "q5_k", "Q5_K_M": "q6_k"}
# The files that a format's bits per weight were counted in: parameters, and those of embedding and output.
_LLAMA_3_1_8B = (8_030_261_312, 525_336_576, 525_336_576)
_COUNTED_IN = {
    "Q4_0": (6_738_415_616, 131_072_000, 131_072_000),
    "MXFP4": (20_914_757_184, 579_133_440, 579_133_440),
}


def end_types(quant: str, *, tied: bool) -> tuple[str, str]:
    """Types of the embedding and of the output projection."""
    name = quant.upper()
    if name in _WHOLE:
        return _WHOLE[name], _WHOLE[name]
    embedding = next((kind for prefix, kind in _EMBEDDING_TYPES.items() if name.startswith(prefix)), "q4_k")
    return (_OUTPUT_TYPE if tied else embedding), _OUTPUT_TYPE


def layer_type(quant: str) -> str:
    """The type that most matrices of the layers have."""
    return "mxfp4" if quant.upper() == "MXFP4" else end_types(quant, tied=False)[0]


def typed(name: str, kind: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor of that type, or of the next that its rows allow."""
    kind = _allowed(kind, shape[0])
    row = BY_NAME[kind]
    return Tensor(name, kind, shape, prod(shape) * row.block_bytes // row.block)


def layer_bits(quant: str, bits_per_weight: float, name: str, row: int) -> float:
    """Bits per weight of a layer's matrix with rows of that length. bits_per_weight: of the whole reference file.

    A file mixes its own type and Q6_K in the layers; rows that do not fit get the fallback of each. One matrix for
    queries, keys and values gets the next wider type.
    """
    total, embedding, output = _COUNTED_IN.get(quant.upper(), _LLAMA_3_1_8B)
    first, last = (_bits(kind) for kind in end_types(quant, tied=False))
    inner = (bits_per_weight * total - first * embedding - last * output) / (total - embedding - output)
    own = layer_type(quant)
    if row % BY_NAME[own].block == 0:
        return max(inner, _bits(_FUSED_TYPES.get(quant.upper(), own))) if "attn_qkv" in name else inner
    wider, base = _bits(_OUTPUT_TYPE), _bits(own)
    share = min(1.0, max(0.0, (inner - base) / (wider - base))) if wider > base else 0.0
    return (1 - share) * _bits(_allowed(own, row)) + share * _bits(_allowed(_OUTPUT_TYPE, row))


def _allowed(kind: str, row: int) -> str:
    if row % BY_NAME[kind].block == 0:
        return kind
    fallback = _FALLBACK.get(kind, "iq4_nl")
    return fallback if row % BY_NAME[fallback].block == 0 else "f16"


def _bits(kind: str) -> float:
    row = BY_NAME[kind]
    return 8 * row.block_bytes / row.block
