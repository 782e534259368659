"""What a host is for the question which driver it gets. None: could not be found out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Headers = Literal["installed", "available", "missing", "unknown"]
# Where a driver came from. run: NVIDIA's .run installer; built: compiled by hand or by another tool.
Came = Literal["nvidia", "distribution", "run", "built"]


@dataclass(frozen=True)
class PciCard:
    """A display device of NVIDIA's. driver: the kernel module that holds it now, as `nouveau` or `vfio-pci`.

    slot: as `0000:01:00.0`. device: four hexadecimal digits. name: what the host's own lspci calls it, "" without.
    """

    slot: str
    device: str
    name: str = ""
    driver: str | None = None


@dataclass(frozen=True)
class Kernel:
    """A kernel that is installed, or runs. headers: what building a module for it needs. release: of `uname -r`.

    nvidia: the version of the module that it would load; flavour: of that module.
    """

    release: str
    headers: Headers
    nvidia: str | None = None
    flavour: Literal["open", "proprietary"] | None = None


@dataclass(frozen=True)
class Package:
    """Of dpkg. state: of `${db:Status-Status}`, as `installed` or `half-configured`. came: nvidia or distribution."""

    name: str
    version: str
    state: str = "installed"
    held: bool = False
    came: Literal["nvidia", "distribution"] = "distribution"


@dataclass(frozen=True)
class SecureBoot:
    """enabled: None where the firmware would not say. key_enrolled: that of dkms is among those the firmware trusts."""

    enabled: bool | None
    key_enrolled: bool = False
    key: str | None = None


@dataclass(frozen=True)
class DriverHost:
    """Everything the decision looks at.

    kernel_packages: metapackages of the kernel without linux-image-, as `amd64` or `generic-hwe-24.04`.
    headers_packages, signed_modules: those that apt could install; signed_modules are Ubuntu's ready-made ones.
    loaded, loaded_flavour: of the module in memory. sources: apt's lines about NVIDIA's repository, as they stand.
    packages: of the driver, the toolkit and the kernel, and whatever dpkg has not finished.
    """

    name: str
    os_id: str
    os_version: str
    arch: str
    running: Kernel
    next_boot: Kernel
    cards: tuple[PciCard, ...] = ()
    secure_boot: SecureBoot = SecureBoot(enabled=False)
    packages: tuple[Package, ...] = ()
    headers_packages: tuple[str, ...] = ()
    signed_modules: tuple[str, ...] = ()
    kernel_packages: tuple[str, ...] = ()
    loaded: str | None = None
    loaded_flavour: Literal["open", "proprietary"] | None = None
    nouveau: bool = False
    run_installer: bool = False
    sources: tuple[str, ...] = ()
    vm: str | None = None
    container: str | None = None
    wsl: bool = False
    root_free_mib: int | None = None
    boot_free_mib: int | None = None  # None also where /boot is no file system of its own
    largest_initrd_mib: int | None = None

    @property
    def module_packages(self) -> tuple[Package, ...]:
        """The installed packages that bring the driver's kernel module."""
        return tuple(each for each in self.packages if is_module_package(each.name))

    @property
    def came(self) -> Came | None:
        """Where the driver that is there came from; None without one.

        One that is in memory alone was purged since the last boot: nothing on disk is in anybody's way.
        """
        packages = self.module_packages
        if packages:
            return packages[0].came
        if self.run_installer:
            return "run"
        return "built" if self.running.nvidia or self.next_boot.nvidia else None


def is_module_package(name: str) -> bool:
    """Whether a package of this name brings the driver's kernel module, by the names that both sources use."""
    return name.startswith(("nvidia-dkms", "linux-modules-nvidia-")) or (
        name.startswith("nvidia-") and name.endswith("-dkms") and "kernel" in name
    )


def branch_of(version: str) -> str | None:
    """`550` of a package's version 550.163.01-2; None for what has a row of versions of its own.

    Debian's nvidia-kernel-common is of 20240109, libnvidia-egl-wayland1 of 1.1, NVIDIA's nvidia-driver-pinning-580
    of 580-1: they belong to every branch.
    """
    found = re.match(r"(\d{3})\.\d", version.rpartition(":")[2])
    return found[1] if found else None


def is_driver_package(name: str) -> bool:
    """Whether a package of this name is a part of the driver."""
    return is_module_package(name) or name.startswith((
        "nvidia-driver", "nvidia-headless", "nvidia-utils", "nvidia-compute-utils", "nvidia-smi", "nvidia-open",
        "nvidia-kernel", "nvidia-firmware", "firmware-nvidia-gsp", "nvidia-persistenced", "cuda-drivers", "libnvidia-",
        "libcuda1", "libnvcuvid1", "xserver-xorg-video-nvidia",
    ))  # fmt: skip
