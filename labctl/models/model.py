"""What a model is, whatever file it came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Literal

from labctl.models.layer import Layer

Kind = Literal["llm", "diffusion", "whisper", "embedding", "reranker", "mmproj", "draft"]
# high: the header said it, and the architecture is known. low: a dense upper estimate of something unknown.
Confidence = Literal["high", "medium", "low"]
MetadataValue = int | float | bool | str | tuple[int | float | bool, ...]
_NOTHING: Mapping[str, MetadataValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the tensor table. shape: innermost dimension first, as GGUF has it, whatever the file.

    type: ggml's or safetensors' name in lower case (q4_K as q4_k, BF16 as bf16). n_bytes: as stored, without padding.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    n_bytes: int

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters by part. output is 0 when embeddings are tied; experts are the routed ones, all of them.

    other: vision towers, text encoders and whatever else is loaded with the model.
    """

    embedding: int
    output: int
    layers: int
    experts: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """All parameters that an engine loads."""
        return self.embedding + self.output + self.layers + self.experts + self.other


@dataclass(frozen=True)
class Model:
    """One model.

    layers: one entry per block in order, unloaded ones included. vocab: rows of the embedding; 0 where there is none.
    tied_embedding: the output projection reads the embedding's tensor. tensors: the header's table; empty when only
    `parameters` are known (a catalogue entry, a config.json without weights). n_files, file_bytes: 0 when unknown.
    quant: the name people use (Q4_K_M, awq, bf16). metadata: the header's own keys, without the tokenizer.
    """

    name: str
    architecture: str
    kind: Kind
    layers: tuple[Layer, ...]
    n_embd: int
    vocab: int
    context_train: int
    tied_embedding: bool
    quant: str
    parameters: ParameterCounts
    confidence: Confidence
    tensors: tuple[Tensor, ...] = ()
    n_files: int = 0
    file_bytes: int = 0
    metadata: Mapping[str, MetadataValue] = field(default_factory=lambda: _NOTHING, hash=False)
    notes: tuple[str, ...] = ()

    @property
    def n_layers(self) -> int:
        """Blocks that are loaded."""
        return sum(layer.loaded for layer in self.layers)

    @property
    def active_parameters(self) -> int:
        """Parameters read per token: of the routed experts only those in use; the embedding is one row, so nothing."""
        routed = [layer.experts for layer in self.layers if layer.experts and layer.loaded]
        count = sum(experts.count for experts in routed)
        used = sum(experts.used for experts in routed)
        counted = self.parameters
        read = counted.layers + counted.other + (counted.output or counted.embedding)
        return read + (counted.experts * used // count if count else 0)
