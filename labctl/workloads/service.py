"""A service of the catalogue, as far as placing it goes. Reading the file is the caller's."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.yaml_document import read

ServiceEngine = Literal["llama.cpp", "ollama", "vllm", "comfyui", "whisper", "training"]


class Service(BaseModel):
    """How one kind of workload is run.

    engine: whose rules say what its model takes; null where no model is loaded onto a card, or where only a declared
    `vram_mib` says so. elastic: its clients decide what it loads, so it gets a card of its own unless capped by
    `vram_mib`; least_vram_mib: what such a card must have free to be of use. stateful: keeps data of the person's, so
    it stays on its host. ram_mib, disk_mib: of the program itself. ports: the container's, published on the host.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+|\.[a-z0-9]+)*$")
    title: str
    engine: ServiceEngine | None
    needs_model: bool
    elastic: bool
    least_vram_mib: int = Field(default=0, ge=0)
    stateful: bool
    ram_mib: int = Field(ge=0)
    disk_mib: int = Field(ge=0)
    ports: list[int]
    sources: list[str] = Field(min_length=1)
    note: str | None = None


def parse(text: str, where: str) -> Service:
    """The service that a catalogue file describes. Raises BadInput with file, line and key."""
    return read(text, where, Service)
