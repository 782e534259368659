"""A file of published measurements, checked. The program reads them unchecked: the tests hold every file to this."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.rig.power_curve import Published, Work, from_values
from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Other(BaseModel):
    """What somebody else measured: the curve is held against it, not made of it. kept: 0 to 1."""

    model_config = _STRICT
    watts: int = Field(gt=0)
    work: Work
    kept: float = Field(gt=0, le=1)
    source: str = Field(min_length=8)


class File(BaseModel):
    """decode, prefill: pairs of watts and speed, in any unit; one of them at the default limit."""

    model_config = _STRICT
    card: str
    default_watts: int = Field(gt=0)
    decode: list[list[float]] | None = Field(default=None, min_length=2)
    prefill: list[list[float]] | None = Field(default=None, min_length=2)
    others: list[Other] = []
    sources: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _measured_at_the_default(self) -> "File":
        for name, pairs in (("decode", self.decode), ("prefill", self.prefill)):
            watts = [pair[0] for pair in pairs or () if len(pair) == 2 and min(pair) > 0]
            if len(watts) != len(pairs or ()) or len(set(watts)) != len(watts):
                raise ValueError(f"{name}: pairs of watts and speed, each limit once")
            if pairs and max(watts) != self.default_watts:
                raise ValueError(f"{name}: the highest limit measured is the default, {self.default_watts} W")
        return self


def parse(text: str, where: str) -> tuple[Published, tuple[Other, ...]]:
    """The measurements of a file, and those it is held against. Raises BadInput with file, line and key."""
    file = read(text, where, File)
    return from_values(file.model_dump()), tuple(file.others)
