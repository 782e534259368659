"""What an inventory may say of the base system."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Size = Annotated[
    str, Field(pattern=r"^[0-9]+[KMGT]$", description="bytes with a unit letter, as systemd reads them")
]
SysctlName = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$")]


class BaseSettings(BaseModel):
    """Data key `base`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    packages: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")], ...] = ()
    """More packages of the distribution that this host should have."""
    journald_max_use: Size = "1G"
    """How much disk the journal may take."""
    unattended_upgrades: bool = True
    """Install security updates at night; the kernel and the driver's packages are always held back from them."""
    sysctls: dict[SysctlName, int] = {}
    """More kernel settings, or other values for labctl's own."""
