"""What an inventory may say of persistence mode."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class NvidiaPersistenceSettings(BaseModel):
    """Data key `nvidia_persistence`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manage: bool = True
    """False leaves it alone; a power limit may then be lost whenever the last program leaves a card."""
