"""How many bytes a weight takes in the formats people use; the figures stand in catalog/quantizations.yaml."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.models.model import ParameterCounts
from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class Quantization:
    """One format. bits_per_weight: of a whole file for GGUF, of the linear layers otherwise (scales included).

    keeps_16bit: embedding, output and everything beside the text model stay in 16 bits, as AWQ, GPTQ and FP8 files do.
    """

    name: str
    container: Literal["gguf", "safetensors"]
    bits_per_weight: float
    keeps_16bit: bool
    experts_only: bool
    aliases: tuple[str, ...]
    source: str

    def linear_bytes(self, n_parameters: int) -> int:
        """Bytes of quantized weights, rounded up."""
        return -int(-n_parameters * self.bits_per_weight // 8)

    def file_bytes(self, parameters: ParameterCounts) -> int:
        """Bytes of all weights of a model, as stored."""
        if not self.keeps_16bit:
            return self.linear_bytes(parameters.total)
        wide = parameters.embedding + parameters.output + parameters.other
        if self.experts_only:
            return self.linear_bytes(parameters.experts) + 2 * (wide + parameters.layers)
        return self.linear_bytes(parameters.layers + parameters.experts) + 2 * wide


class _Entry(BaseModel):
    model_config = _STRICT
    name: str
    container: Literal["gguf", "safetensors"]
    bits_per_weight: float = Field(gt=0, le=32)
    keeps_16bit: bool = False
    experts_only: bool = False
    aliases: list[str] = []
    source: str = Field(min_length=8)


class _Table(BaseModel):
    model_config = _STRICT
    quantizations: list[_Entry]


def parse(text: str, where: str) -> tuple[Quantization, ...]:
    """The formats in the catalogue's table, best known first. Raises BadInput with file, line and key."""
    return tuple(
        Quantization(
            entry.name,
            entry.container,
            entry.bits_per_weight,
            entry.keeps_16bit,
            entry.experts_only,
            tuple(entry.aliases),
            entry.source,
        )
        for entry in read(text, where, _Table).quantizations
    )
