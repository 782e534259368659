"""The names of packages: to install, to remove, and what apt must be told so that it stays at that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.driver.host import DriverHost, Package, branch_of, is_driver_package, is_module_package
from labctl.driver.table import Flavour, Offer, Origin

# A branch of NVIDIA's repository is a row of versions under the same package names.
_DRIVER_NAMES = (
    *("cuda-drivers*", "firmware-nvidia-gsp", "libcuda1", "libnvcuvid1", "libnvoptix1", "libnvidia-*"),
    *("nvidia-*", "xserver-xorg-video-nvidia*"),
)
# Names that follow the newest CUDA or driver wherever it goes.
_FOLLOW_THE_NEWEST = (
    "cuda",
    "cuda-13-*",
    "cuda-runtime-13-*",
    "cuda-toolkit",
    "cuda-toolkit-13",
    "cuda-toolkit-13-*",
)
# What Debian makes of sources of its own, which lag behind its driver by branches.
_LAGS = ("nvidia-persistenced",)
_ORIGIN = "origin developer.download.nvidia.com"


@dataclass(frozen=True)
class Pin:
    """A stanza of apt_preferences(5). packages: names and globs."""

    packages: tuple[str, ...]
    pin: str
    priority: int


def of_driver(host: DriverHost, offer: Offer, flavour: Flavour) -> tuple[str, ...]:
    """What to install, the kernel module first."""
    kernel = kernel_metapackage(host)
    modules = [
        name.replace("{kernel}", kernel or host.next_boot.release) for name in offer.module_packages(flavour)
    ]
    return (*modules, *offer.packages)


def kernel_metapackage(host: DriverHost) -> str | None:
    """The metapackage that brings the kernel that boots next, without linux-image-: `amd64`, `generic-hwe-24.04`.

    None for a kernel that came without one. The longest that fits, as a hardware enablement kernel is `generic`, too.
    """
    kind = re.sub(r"^[\d.~+]+(-\d+)?([.+~]\w+)*-", "", host.next_boot.release)
    fitting = [name for name in host.kernel_packages if name == kind or name.startswith(f"{kind}-hwe-")]
    return max(fitting, key=len, default=None)


def headers(host: DriverHost) -> tuple[str, ...]:
    """Those of the kernel that boots next, and the metapackage that brings those of its successors."""
    meta = kernel_metapackage(host)
    wanted = [f"linux-headers-{host.next_boot.release}", *([f"linux-headers-{meta}"] if meta else [])]
    return tuple(name for name in wanted if name in host.headers_packages)


def to_remove(host: DriverHost, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Installed packages with a kernel module that is not the wanted one: two of them would fight."""
    return tuple(each.name for each in host.module_packages if not _brought_by(each.name, wanted))


def to_change(host: DriverHost, offer: Offer, wanted: tuple[str, ...]) -> tuple[Package, ...]:
    """Installed packages of a driver that the offer replaces or removes: of another branch, source or flavour."""
    return tuple(
        each
        for each in host.packages
        if _has_branch(each, offer) and not _is_of(each, offer) and not _brought_by(each.name, wanted)
    ) + tuple(each for each in host.packages if each.name in to_remove(host, wanted) and _is_of(each, offer))


def in_place(host: DriverHost, offer: Offer, wanted: tuple[str, ...]) -> bool:
    """Whether all of the offer is installed, nothing else of a driver is, and the next boot has a module of it."""
    installed = {each.name: each for each in host.packages if each.state == "installed"}
    return (
        all(
            name in installed
            and (_is_of(installed[name], offer, wanted) or not _has_branch(installed[name], offer))
            for name in wanted
        )
        and not to_change(host, offer, wanted)
        and (host.next_boot.nvidia or "").startswith(f"{offer.branch}.")
    )


def pins(offer: Offer) -> tuple[Pin, ...]:
    """What keeps apt on the branch and on CUDA 12, whatever else the repositories offer.

    A distribution that ends a branch lets its names bring the next one, whose module is another.
    """
    branch = Pin(_DRIVER_NAMES, f"version {offer.branch}.*", 1001)
    if offer.source == "distribution" and not (offer.cuda and offer.cuda.package.startswith("cuda-toolkit-")):
        return (branch, Pin(("*",), _ORIGIN, -1))
    return (branch, Pin(_FOLLOW_THE_NEWEST, "version *", -1))


def _is_of(package: Package, offer: Offer, wanted: tuple[str, ...] = ()) -> bool:
    """Whether an installed package is of the offer's branch and source.

    Precompiled modules carry the kernel's version, so their branch is in the name alone.
    """
    if package.name.startswith("linux-modules-nvidia-"):
        return _brought_by(package.name, wanted)
    version = package.version.rpartition(":")[2]
    return version.startswith(f"{offer.branch}.") and package.came == offer.source


def of_any_branch(source: Origin) -> tuple[str, ...]:
    """Names of packages of the driver whose version need not be of its branch, with a driver of this source."""
    return _LAGS if source == "distribution" else ()


def _has_branch(package: Package, offer: Offer) -> bool:
    """Whether a package is of one branch of the driver alone."""
    is_part = is_driver_package(package.name) and package.name not in of_any_branch(offer.source)
    return is_part and (is_module_package(package.name) or branch_of(package.version) is not None)


def _brought_by(name: str, wanted: tuple[str, ...]) -> bool:
    """`linux-modules-nvidia-580-server-open-6.8.0-88-generic` is what the wanted `…-open-generic` brings."""
    plain = re.sub(r"-\d+\.\d+\.\d+-\d+(?=-)", "", name)
    return name in wanted or plain in wanted or any(each.startswith(f"{plain}-hwe-") for each in wanted)
