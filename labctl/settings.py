"""The types of the inventory's group data, for editors and mypy; each role checks the values themselves at run time."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from labctl.secret import Secret


class BaseData(TypedDict, total=False):
    """`base`: see roles/base/settings.py."""

    packages: list[str]
    journald_max_use: str
    unattended_upgrades: bool
    sysctls: dict[str, int]


ExposureData = TypedDict(
    "ExposureData", {"port": int, "protocol": NotRequired[str], "from": NotRequired[list[str]]}
)


class FirewallData(TypedDict, total=False):
    """`firewall`: see roles/firewall/settings.py."""

    manage: bool
    ssh_ports: list[int]
    ssh_sources: list[str]
    exposed: list[ExposureData]
    undo_seconds: int


class RegistryMirrorData(TypedDict):
    """One of `podman.mirrors`."""

    registry: str
    mirror: str
    insecure: NotRequired[bool]


class RegistryLoginData(TypedDict):
    """One of `podman.logins`."""

    registry: str
    username: str
    password: Secret


class PodmanData(TypedDict, total=False):
    """`podman`: see roles/podman/settings.py."""

    storage: str
    search_registries: list[str]
    mirrors: list[RegistryMirrorData]
    logins: list[RegistryLoginData]
    prune: str


class GpuPowerData(TypedDict, total=False):
    """`gpu_power`: see roles/gpu_power/settings.py."""

    limits: dict[str, int]
    budget_watts: int | None
