"""What an inventory may say of power limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from labctl.power.limits import Wanted

# Over what any card takes; a card's own range is asked of the card.
Watts = Annotated[int, Field(ge=1, le=2000)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ()._-]*$")]


class GpuPowerSettings(BaseModel):
    """Data key `gpu_power`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: dict[Name, Watts] = {}
    """Watts by UUID, by model, or for `all`; the closest to a card counts. Of a card without one nothing is changed."""
    budget_watts: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """For all cards of a host together; those without a limit share what is left, where it costs the least speed."""

    @property
    def wanted(self) -> Wanted:
        """The same, as what decides takes it."""
        return Wanted(self.limits, self.budget_watts)
