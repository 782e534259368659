"""What an inventory may say of clocks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from labctl.power.clocks import WantedClocks

# Over what any card runs at; a card's own range is asked of the card.
Mhz = Annotated[int, Field(ge=1, le=30_000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ()._-]*$")]


def _in_order(lock: tuple[int, int]) -> tuple[int, int]:
    if lock[0] > lock[1]:
        raise ValueError("the least clock first, then the most")
    return lock


Lock = Annotated[tuple[Mhz, Mhz], AfterValidator(_in_order)]


class GpuTuningSettings(BaseModel):
    """Data key `gpu_tuning`. Nothing is asked for by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    graphics_mhz: dict[Name, Lock] = {}
    """Least and most MHz by UUID, by model, or for `all`; the closest to a card counts. Of a card without one nothing
    is changed."""
    memory_mhz: dict[Name, Lock] = {}
    """The same of the memory clock, from Ampere on. Text comes at the memory's speed: a lower clock is slower."""

    @property
    def wanted(self) -> WantedClocks:
        """The same, as what decides takes it."""
        return WantedClocks({"graphics": self.graphics_mhz, "memory": self.memory_mhz})
