"""What an inventory may say of NVIDIA's driver."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from labctl.driver.table import Flavour, Origin

Url = Annotated[str, Field(pattern=r"^(https?://|file:/)[^\s'\"]+$")]


class Repository(BaseModel):
    """A copy of a vendor's apt repository, and who signs it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Url
    key_url: Url
    fingerprint: Annotated[str, Field(pattern=r"^[0-9A-F]{40}$")]


class NvidiaDriverSettings(BaseModel):
    """Data key `nvidia_driver`. A host without a card of NVIDIA's has none, whatever stands here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manage: bool = True
    """False leaves whatever driver the host has alone."""
    source: Origin | None = None
    """nvidia or distribution; None: what `labctl preflight` chooses for the cards and the system."""
    branch: Annotated[int, Field(ge=400, le=999)] | None = None
    """As 580; None: as `source`."""
    flavour: Flavour | None = None
    """open or proprietary kernel module; None: as `source`."""
    reboot: bool = True
    """Reboot the host when another driver is loaded than the one that is installed; False leaves that to a person."""
    in_container: bool = False
    """Install and build in a container, too, whose kernel belongs to the machine around it."""
    repository: Repository | None = None
    """A mirror of NVIDIA's repository, with the fingerprint of the key that signs it."""


DEFAULTS = NvidiaDriverSettings()
