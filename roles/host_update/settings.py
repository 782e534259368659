"""What an inventory may say of moving kernel and driver: nothing of its own, nvidia_driver's settings decide."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class HostUpdateSettings(BaseModel):
    """Data key `host_update`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
