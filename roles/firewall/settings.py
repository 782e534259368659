"""What an inventory may say of the firewall."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]
Network = IPv4Network | IPv6Network


class Exposure(BaseModel):
    """One port that machines outside this host may reach: a host's own service or a published container port."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: Annotated[tuple[Network, ...], Field(alias="from")] = ()
    """Networks it is open to; empty means everybody who can send packets here."""


class FirewallSettings(BaseModel):
    """Data key `firewall`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manage: bool = True
    """False leaves whatever firewall the host has alone."""
    ssh_ports: tuple[Port, ...] = ()
    """Ports SSH stays open on; empty means 22, sshd's own and that of the deploying connection."""
    ssh_sources: tuple[Network, ...] = ()
    """Networks SSH is open to; empty means all."""
    exposed: tuple[Exposure, ...] = ()
    undo_seconds: Annotated[int, Field(ge=10, le=600)] = 45
    """How long the host waits for a proof that SSH still works before it puts the old rules back."""
