"""GGUF headers, one or all parts of a split file, as a Model."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from labctl.errors import BadInput
from labctl.models.ggml_types import FILE_TYPES
from labctl.models.gguf_header import GgufHeader
from labctl.models.gguf_layers import ENCODERS, layers
from labctl.models.layer import Layer
from labctl.models.metadata import Metadata
from labctl.models.model import Confidence, Kind, Model, ParameterCounts, Tensor

MAX_LAYERS = 4096
# Whose layers and graph are known; everything else is a dense upper estimate.
KNOWN = frozenset({
    "llama", "llama4", "mistral3", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen3next", "qwen35", "qwen35moe",
    "qwen2vl", "qwen3vl",
    "gemma2", "gemma3", "gemma3n", "phi3", "phimoe", "deepseek2", "gpt-oss", "command-r", "cohere2", "glm4",
    "glm4moe", "granite", "granitemoe", "granitehybrid", "falcon-h1", "jamba", "mamba", "mamba2", "rwkv6", "rwkv7",
    "lfm2", "lfm2moe", "nemotron_h", "nemotron_h_moe", "bert", "nomic-bert", "clip",
})  # fmt: skip
_DIFFUSION = frozenset(
    {"flux", "sd1", "sdxl", "sd3", "aura", "wan", "hyvid", "ltxv", "lumina2", "hidream", "qwen_image"}
)
_DRAFTS = frozenset({"eagle3", "dflash"})
_RANKING = 4  # LLAMA_POOLING_TYPE_RANK
_LAYER = re.compile(r"blk\.(\d{1,5})\.")


def model_from_gguf(headers: Sequence[GgufHeader]) -> Model:
    """One model of its file's header, or of all parts' headers in order. Raises `BadInput` where they disagree."""
    first = headers[0]
    _check_parts(headers)
    architecture = first.metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise BadInput(
            "the header names no architecture",
            where=f"{first.name}: general.architecture",
            found=repr(architecture),
            expected="a name, as llama",
            hint="is this the first part of the model, and no LoRA or imatrix file?",
        )
    tensors = {tensor.name: tensor for header in headers for tensor in header.tensors}
    if not tensors:
        raise BadInput(
            "there are no weights in this file",
            where=first.name,
            found="a header without tensors",
            hint="is this only the vocabulary, or an interrupted download?",
        )
    metadata = Metadata(first.metadata, architecture, first.name)
    kind = _kind(architecture, metadata, tensors)
    n_layers = _n_layers(metadata, tensors, kind)
    blocks = layers(architecture, metadata, tensors, n_layers) if n_layers else ()
    embedding = tensors.get("token_embd.weight")
    name = first.metadata.get("general.name")
    confidence: Confidence = "high" if architecture in KNOWN else "low"
    return Model(
        name=name if isinstance(name, str) and name else first.name,
        architecture=architecture,
        kind=kind,
        layers=blocks,
        n_embd=metadata.size("embedding_length", 0),
        vocab=_vocab(embedding, metadata, first),
        context_train=metadata.size("context_length", 0),
        tied_embedding=embedding is not None
        and "output.weight" not in tensors
        and architecture not in ENCODERS,
        quant=_quant(first, tensors.values()),
        parameters=_parameters(tensors.values(), blocks),
        confidence=confidence,
        tensors=tuple(tensors.values()),
        n_files=len(headers),
        file_bytes=sum(header.file_bytes for header in headers),
        metadata=first.metadata,
        notes=() if architecture in KNOWN else (f"architecture {architecture} is not known: taken as dense",),
    )


def _check_parts(headers: Sequence[GgufHeader]) -> None:
    """All parts, each once, in order. https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split"""
    for number, header in enumerate(headers):
        count, part = header.metadata.get("split.count", 1), header.metadata.get("split.no", 0)
        if (count or 1) != len(headers) or part != number:
            raise BadInput(
                "the parts of this model do not belong together",
                where=header.name,
                found=f"part {part} of {count}" if not isinstance(part, str) else "no part",
                expected=f"part {number} of {len(headers)}",
                hint="put all parts in one directory and name the first, ...-00001-of-...",
            )


def _kind(architecture: str, metadata: Metadata, tensors: dict[str, Tensor]) -> Kind:
    if architecture == "clip" or metadata.values.get("general.type") == "mmproj":
        return "mmproj"
    if architecture in _DIFFUSION:
        return "diffusion"
    if architecture in _DRAFTS:
        return "draft"
    if metadata.size("pooling_type", 0) == _RANKING or "cls.output.weight" in tensors:
        return "reranker"
    if architecture in ENCODERS or metadata.size("pooling_type", 0):
        return "embedding"
    return "llm"


def _n_layers(metadata: Metadata, tensors: dict[str, Tensor], kind: Kind) -> int:
    if kind in ("mmproj", "diffusion"):
        return 0
    present = [int(match[1]) for match in map(_LAYER.match, tensors) if match]
    n_layers = metadata.size("block_count", max(present, default=-1) + 1)
    if not 0 < n_layers <= MAX_LAYERS or max(present, default=0) >= n_layers:
        raise BadInput(
            "the number of layers cannot be meant",
            where=f"{metadata.where}: {metadata.prefix}.block_count",
            found=f"{n_layers}, and tensors up to layer {max(present, default=-1)}",
            expected=f"1 to {MAX_LAYERS}, and more than any tensor's layer",
            hint="the header is damaged",
        )
    return n_layers


def _vocab(embedding: Tensor | None, metadata: Metadata, header: GgufHeader) -> int:
    if embedding is not None and len(embedding.shape) > 1:
        return embedding.shape[1]
    return metadata.size("vocab_size", header.array_lengths.get("tokenizer.ggml.tokens", 0))


def _quant(header: GgufHeader, tensors: Iterable[Tensor]) -> str:
    file_type = header.metadata.get("general.file_type")
    if isinstance(file_type, int) and file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    by_type: Counter[str] = Counter()
    for tensor in tensors:
        by_type[tensor.type] += tensor.n_bytes
    return by_type.most_common(1)[0][0].upper() if by_type else "unknown"


def _parameters(tensors: Iterable[Tensor], blocks: tuple[Layer, ...]) -> ParameterCounts:
    counts = Counter[str]()
    for tensor in tensors:
        match = _LAYER.match(tensor.name)
        if match and int(match[1]) < len(blocks):
            if blocks[int(match[1])].loaded:
                counts["experts" if "_exps." in tensor.name else "layers"] += tensor.n_elements
        elif tensor.name in ("token_embd.weight", "per_layer_token_embd.weight"):
            counts["embedding"] += tensor.n_elements
        elif tensor.name == "output.weight":
            counts["output"] += tensor.n_elements
        else:
            counts["layers" if blocks else "other"] += tensor.n_elements
    return ParameterCounts(
        **{part: counts[part] for part in ("embedding", "output", "layers", "experts", "other")}
    )
