"""A card's YAML file as a `Gpu`. Reading the file is the caller's; every figure must say where it comes from."""

from dataclasses import fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.rig.gpu import Architecture, FormFactor, Gpu, Price, Source
from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
# What needs no source: names, and what follows from the name.
UNSOURCED = {
    "name", "title", "aliases", "architecture", "unified_memory", "sources", "note", "form_factor", "gpus_per_board",
    "prices",  # each carries its own
}  # fmt: skip


class _Price(BaseModel):
    model_config = _STRICT
    amount: float = Field(gt=0)
    currency: str = Field(pattern="^[A-Z]{3}$")
    used: bool | None = None
    seen: str | None = Field(default=None, pattern=r"^20\d\d(-[01]\d)?$")
    from_: str = Field(alias="from", min_length=8)


class _Source(BaseModel):
    model_config = _STRICT
    covers: list[str]
    from_: str = Field(alias="from", min_length=8)


class _Card(BaseModel):
    model_config = _STRICT
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    aliases: list[str]
    architecture: Architecture
    compute_capability: str = Field(pattern=r"^\d+\.\d$")
    memory_mib: int = Field(gt=0)
    cuda_memory_mib: int | None = Field(gt=0)
    unified_memory: bool
    bandwidth_gbs: float | None = Field(gt=0)
    streaming_multiprocessors: int | None = Field(gt=0)
    boost_mhz: float | None = Field(gt=0)
    fp32_tflops: float | None = Field(gt=0)
    tensor_cores: int | None = Field(gt=0)
    tdp_watts: int | None = Field(gt=0)
    power_min_watts: int | None = Field(gt=0)
    power_max_watts: int | None = Field(gt=0)
    pcie_generation: float | None = Field(gt=0)
    pcie_lanes: int | None = Field(gt=0)
    nvlink: bool | None
    nvlink_gbs: float | None = Field(gt=0)
    transient_peak_watts: int | None = Field(gt=0)
    prices: list[_Price]
    sources: list[_Source]
    note: str | None = None
    form_factor: FormFactor = "pcie"
    gpus_per_board: int = Field(default=1, ge=1, le=16)

    @model_validator(mode="after")
    def _one_price_per_currency(self) -> "_Card":
        given = [price.currency for price in self.prices]
        if twice := sorted({each for each in given if given.count(each) > 1}):
            raise ValueError(f"more than one price in {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _every_figure_has_one_source(self) -> "_Card":
        covered = [field for source in self.sources for field in source.covers]
        given = {name for name, value in self if name not in UNSOURCED and value is not None}
        if missing := sorted(given - set(covered)):
            raise ValueError(f"no source covers {', '.join(missing)}")
        if astray := sorted(set(covered) - given):
            raise ValueError(f"a source covers {', '.join(astray)}, which this card does not state")
        if twice := sorted({field for field in covered if covered.count(field) > 1}):
            raise ValueError(f"more than one source covers {', '.join(twice)}")
        if self.cuda_memory_mib is not None and self.cuda_memory_mib > self.memory_mib:
            raise ValueError("CUDA cannot see more memory than the board has")
        return self


def parse(text: str, where: str) -> Gpu:
    """The card that a catalogue file describes. Raises BadInput with file, line and key."""
    card = read(text, where, _Card)
    values: dict[str, Any] = {
        field.name: getattr(card, field.name) for field in fields(Gpu) if field.name in _Card.model_fields
    }
    values["aliases"] = tuple(card.aliases)
    values["prices"] = tuple(
        Price(each.amount, each.currency, each.from_, each.used, each.seen) for each in card.prices
    )
    values["sources"] = tuple(Source(tuple(source.covers), source.from_) for source in card.sources)
    return Gpu(**values)
