"""What an inventory may say of how containers get their cards."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from roles.nvidia_driver.settings import Repository


class ContainerToolkitSettings(BaseModel):
    """Data key `container_toolkit`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manage: bool = True
    """False leaves the toolkit and its device descriptions alone."""
    repository: Repository | None = None
    """A mirror of NVIDIA's repository for it, with the fingerprint of the key that signs it."""
