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


class RepositoryData(TypedDict):
    """A mirror of a vendor's apt repository, and who signs it."""

    url: str
    key_url: str
    fingerprint: str


class NvidiaDriverData(TypedDict, total=False):
    """`nvidia_driver`: see roles/nvidia_driver/settings.py."""

    manage: bool
    source: str | None
    branch: int | None
    flavour: str | None
    reboot: bool
    in_container: bool
    repository: RepositoryData | None


class CudaData(TypedDict, total=False):
    """`cuda`: see roles/cuda/settings.py."""

    toolkit: bool


class NvidiaPersistenceData(TypedDict, total=False):
    """`nvidia_persistence`: see roles/nvidia_persistence/settings.py."""

    manage: bool


class ContainerToolkitData(TypedDict, total=False):
    """`container_toolkit`: see roles/container_toolkit/settings.py."""

    manage: bool
    repository: RepositoryData | None


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


class GpuTuningData(TypedDict, total=False):
    """`gpu_tuning`: see roles/gpu_tuning/settings.py."""

    graphics_mhz: dict[str, list[int]]
    memory_mhz: dict[str, list[int]]


class MonitoringData(TypedDict, total=False):
    """`monitoring`: see roles/monitoring/settings.py."""

    enabled: bool
    expose: bool
    every_seconds: int
