"""What an inventory may say of Podman."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from labctl.secret import Secret

RegistryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._/-]+)?$")]


class RegistryMirror(BaseModel):
    """Where images of one registry are fetched first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: RegistryName
    mirror: RegistryName
    insecure: bool = False
    """Plain HTTP, or a certificate nobody signed: only for a registry on this host or network."""


class RegistryLogin(BaseModel):
    """A login for one registry; the password comes from the environment or a file, never from the inventory itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    registry: RegistryName
    username: str
    password: Secret


class PodmanSettings(BaseModel):
    """Data key `podman`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$")] = "/var/lib/containers/storage"
    """Where images and volumes lie; give a large disk's path here before the first image is pulled."""
    search_registries: tuple[RegistryName, ...] = ("docker.io",)
    """Where an image name without a registry is looked for."""
    mirrors: tuple[RegistryMirror, ...] = ()
    logins: tuple[RegistryLogin, ...] = ()
    prune: Annotated[str, Field(pattern=r"^(daily|weekly|monthly)$")] = "weekly"
    """How often images that no unit and no container names are looked for; one found twice in a row is removed."""
