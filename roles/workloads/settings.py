"""What an inventory may say of the workloads' checks: nothing, for the generation in force on the host says it all."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class WorkloadsSettings(BaseModel):
    """Data key `workloads`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
