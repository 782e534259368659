"""What an inventory may say of monitoring."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class MonitoringSettings(BaseModel):
    """Data key `monitoring`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False
    """True: metrics for a Prometheus on this host, or on another. Back at False, the exporter's package is purged."""
    expose: bool = False
    """True: on every address; `firewall.exposed` must open the port, and say to which networks."""
    every_seconds: Annotated[int, Field(ge=10, le=3600)] = 30
    """How long after one look at the cards the next begins."""
