"""The workloads file as written: its keys, their types and bounds. The JSON Schema for editors comes from here."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from labctl.workloads.reserved import NAME, PATTERN
from labctl.workloads.workload import DEFAULT_PRIORITY

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_HOST_NAME = re.compile(r"^(?=.{4,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")
_PORT = re.compile(r"^(?:(?P<host>\d{1,5}):)?(?P<container>\d{1,5})(?:/(?:tcp|udp))?$")
_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
_SIZE = re.compile(r"^\d{2,5}x\d{2,5}$")
MOST_TOKENS = 16 * 1024 * 1024
KvType = Literal["f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "fp8"]
Count = Annotated[int, Field(ge=1, le=4096)]
Tokens = Annotated[int, Field(ge=256, le=MOST_TOKENS)]


class TokensWanted(BaseModel):
    """{want: 32768, min: 8192}"""

    model_config = _STRICT
    want: Tokens
    min: Tokens

    @model_validator(mode="after")
    def _least_is_no_more_than_the_wish(self) -> "TokensWanted":
        if self.min > self.want:
            raise ValueError(f"min is more than want: {self.min} > {self.want}")
        return self


class CountWanted(BaseModel):
    """{want: 8, min: 2}"""

    model_config = _STRICT
    want: Count
    min: Count

    @model_validator(mode="after")
    def _least_is_no_more_than_the_wish(self) -> "CountWanted":
        if self.min > self.want:
            raise ValueError(f"min is more than want: {self.min} > {self.want}")
        return self


class Gpus(BaseModel):
    """Limits on the cards that may serve."""

    model_config = _STRICT
    count: Annotated[int, Field(ge=0, le=64)] | None = None
    models: list[str] = []
    uuids: list[str] = []
    host: str | None = None
    exclusive: bool = False


class Training(BaseModel):
    """What and how to fine-tune."""

    model_config = _STRICT
    method: Literal["full", "lora", "qlora"]
    batch: Count = 1
    sequence: Tokens = 2048
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "sgd"] = "adamw"
    rank: Annotated[int, Field(ge=1, le=1024)] = 16


class Entry(BaseModel):
    """One workload, as written."""

    model_config = _STRICT
    service: str = Field(description="A service of the catalogue: a file of labctl/catalog/services.")
    model: str | None = Field(default=None, description="A catalogue name, a path, or org/name.")
    quant: str | Annotated[list[str], Field(min_length=1)] = Field(
        default="auto", description="One, several in order of preference, or auto."
    )
    dtype: str | None = Field(default=None, description="Another word for `quant`, for images.")
    context: Tokens | TokensWanted | None = Field(default=None, description="Tokens each request may reach.")
    parallel: Count | CountWanted = Field(default=1, description="Requests at once.")
    kv_type: Literal["auto"] | KvType | Annotated[list[KvType], Field(min_length=1)] = Field(
        default="auto", description="Of the KV cache."
    )
    size: str | None = Field(default=None, description="Of images, WIDTHxHEIGHT in pixels.")
    frames: Annotated[int, Field(ge=1, le=10_000)] = 1
    priority: Annotated[int, Field(ge=0, le=1000)] = DEFAULT_PRIORITY
    load: Annotated[int, Field(ge=0, le=1000)] = 1
    offload: bool = Field(default=False, description="Whether layers or experts may stay in RAM.")
    gpus: Gpus = Gpus()
    apart_from: list[str] = []
    expose: str = Field(default="no", description="no, vpn, lan, or a host name.")
    uses: list[str] = []
    training: Training | None = None
    displaces: list[str] = []
    when: str | None = Field(default=None, description="HH:MM-HH:MM, the host's own time.")
    vram_mib: Annotated[int, Field(ge=0, le=16 * 1024 * 1024)] | None = None
    ram_mib: Annotated[int, Field(ge=0)] | None = None
    disk_mib: Annotated[int, Field(ge=0)] | None = None
    image: str | None = None
    args: list[str] = []
    env: dict[str, str | int | float | bool] = {}
    ports: list[int | str] = []
    volumes: dict[str, str] = {}
    devices: list[str] = []
    data: str | None = None

    @field_validator("expose")
    @classmethod
    def _reaches_somewhere(cls, value: str) -> str:
        if value not in ("no", "vpn", "lan") and not _HOST_NAME.match(value):
            raise ValueError("expected no, vpn, lan or a host name as chat.home.example")
        return value

    @field_validator("when")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None and not _TIME.match(value):
            raise ValueError('expected "HH:MM-HH:MM", as "01:00-07:00"')
        return value

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, value: str | None) -> str | None:
        if value is not None and not _SIZE.match(value):
            raise ValueError("expected WIDTHxHEIGHT, as 1024x1024")
        return value

    @field_validator("ports")
    @classmethod
    def _are_ports(cls, value: list[int | str]) -> list[int | str]:
        for each in value:
            match = _PORT.match(str(each))
            numbers = [int(part) for part in (match["host"], match["container"]) if part] if match else []
            if not numbers or not all(1 <= number <= 65535 for number in numbers):
                raise ValueError(f"{each!r}: expected a container's port, or HOST:CONTAINER")
        return value

    @model_validator(mode="after")
    def _one_word_for_the_format(self) -> "Entry":
        if self.dtype is not None and self.quant != "auto":
            raise ValueError("quant and dtype say the same: keep one")
        if self.training is None and self.displaces and self.when is None:
            raise ValueError("displaces needs `when`, or a training job")
        return self


class Document(BaseModel):
    """The whole file."""

    model_config = _STRICT
    workloads: dict[Annotated[str, Field(pattern=NAME)], Entry] = Field(
        min_length=1, json_schema_extra={"propertyNames": {"not": {"pattern": PATTERN}}}
    )


def json_schema() -> Mapping[str, Any]:
    """For editors: the file's JSON Schema, from the types that it is checked with."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "labctl workloads"} | schema
