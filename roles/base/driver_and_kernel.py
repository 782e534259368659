"""Which installed packages are the driver's or the kernel's, judged by the files they hold.

The deploy decides the same by name and source package. This is the second opinion that the checks hold against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

INSTALLED = r"dpkg-query -W -f '${db:Status-Status}\t${source:Package}\t${Package}\t${Depends}\n'"
_KERNEL_FILES = ("/boot/vmlinuz-*", "/lib/modules/*", "/usr/lib/modules/*", "/usr/src/linux-headers-*")
_DRIVER_FILES = (
    *("*/libcuda.so.*", "*/libnvidia-ml.so.*", "*/libnvcuvid.so.*", "*/bin/nvidia-smi"),
    *("/usr/src/nvidia-*", "*/firmware/nvidia/*/gsp*"),
)
# dpkg -S fails when one of the patterns matches nothing, which is not what is asked here.
KERNEL_OWNERS = "dpkg -S " + " ".join(f"'{path}'" for path in _KERNEL_FILES) + " 2>/dev/null || true"
DRIVER_OWNERS = "dpkg -S " + " ".join(f"'{path}'" for path in _DRIVER_FILES) + " 2>/dev/null || true"


@dataclass(frozen=True)
class Package:
    """An installed package. `depends` is the field as it stands."""

    name: str
    source: str
    depends: str


def parse_installed(output: str) -> tuple[Package, ...]:
    """Read what INSTALLED printed; packages that are removed but configured are left out."""
    fields = [line.split("\t") for line in output.splitlines()]
    return tuple(
        Package(name, source, depends) for status, source, name, depends in fields if status == "installed"
    )


def parse_owners(output: str) -> set[str]:
    """Read what `dpkg -S` printed: "linux-image-amd64: /boot/…", "libcuda1:amd64, libcuda1:i386: /usr/lib/…"."""
    names = set()
    for line in output.splitlines():
        owners, separator, _ = line.partition(": ")
        if separator and not line.startswith("diversion by "):
            names |= {owner.partition(":")[0] for owner in owners.split(", ")}
    return names


def driver_and_kernel(installed: Iterable[Package], kernel_owners: str, driver_owners: str) -> set[str]:
    """The names of packages that must only move when asked to.

    Those that hold the kernel's files, and the metapackages that pull new ones of them in; those that hold the driver's
    files, and whatever else was built from the same source.
    """
    packages = tuple(installed)
    kernel = parse_owners(kernel_owners)
    while more := {
        package.name
        for package in packages
        if package.name.startswith("linux-") and package.name not in kernel and _needs_any(package, kernel)
    }:
        kernel |= more
    driver = parse_owners(driver_owners)
    sources = {package.source for package in packages if package.name in driver}
    return kernel | driver | {package.name for package in packages if package.source in sources}


def _needs_any(package: Package, names: set[str]) -> bool:
    needed = {re.split(r"[\s:(]", one.strip(), maxsplit=1)[0] for one in re.split(r"[,|]", package.depends)}
    return not needed.isdisjoint(names)
