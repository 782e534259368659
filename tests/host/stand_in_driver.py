"""Packages that stand in for NVIDIA's driver and CUDA, by the names and relations of Debian's own.

The kernel module is a few lines of C that say which driver they stand in for. Debian's dkms really builds and installs
it, in seconds, or really fails to.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tests.host.stand_in_repository import STAND_IN, StandIn

VERSION = "550.163.01"
REVISION = "-2+standin1"  # above the archive's -2
_SOURCE = """/* {stand_in} */
#include <linux/module.h>
#include <linux/pci.h>
{fault}
MODULE_VERSION("{version}");
MODULE_LICENSE("{license}");
"""
# What NVIDIA's open module of this version does wrong on Debian 13's kernel.
FAULT = "int stand_in_fault(void) { return pci_resize_resource(NULL); }"
_DKMS_CONF = """PACKAGE_NAME="{name}"
PACKAGE_VERSION="{version}"
BUILT_MODULE_NAME[0]="nvidia"
DEST_MODULE_NAME[0]="{name}"
DEST_MODULE_LOCATION[0]="/updates/dkms"
MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/{name}/{version}/build modules"
CLEAN="true"
AUTOINSTALL="yes"
"""
_POSTINST = """#!/bin/sh
set -e
{slow}
[ "$1" != configure ] || /usr/lib/dkms/common.postinst {name} {version} /usr/share/{name} "" "$2"
{slow}
"""
_PRERM = """#!/bin/sh
set -e
{slow}
case $1 in remove|upgrade|deconfigure) dkms remove -m {name} -v {version} --all || true ;; esac
"""
_NVCC = f"""#!/bin/sh
echo "{STAND_IN}"
echo "Cuda compilation tools, release {{release}}, V{{release}}.0"
"""


def kernel_module(
    package: str = "nvidia-kernel-dkms",
    version: str = VERSION,
    *,
    name: str = "nvidia-current",
    conflicts: str = "nvidia-open-kernel-dkms",
    flavour: str = "proprietary",
    builds: bool = True,
    slow_s: float = 0,
    revision: str = REVISION,
    relations: Mapping[str, str] = MappingProxyType({}),
) -> StandIn:
    """The package that builds the module. slow_s: how long each of its scripts takes, beside its work."""
    folder = f"usr/src/{name}-{version}"
    slow = f"sleep {slow_s}" if slow_s else ""
    source = _SOURCE.format(
        stand_in=STAND_IN,
        version=version,
        fault="" if builds else FAULT,
        license="NVIDIA" if flavour == "proprietary" else "Dual MIT/GPL",
    )
    return StandIn(
        package,
        version + revision,
        {
            f"{folder}/nvidia.c": source,
            f"{folder}/Makefile": "obj-m := nvidia.o\n",
            f"{folder}/dkms.conf": _DKMS_CONF.format(name=name, version=version),
        },
        depends="dkms",
        scripts={
            "postinst": _POSTINST.format(name=name, version=version, slow=slow),
            "prerm": _PRERM.format(name=name, version=version, slow=slow),
        },
        relations={"Conflicts": conflicts, **relations},
    )


def open_kernel_module(
    version: str = VERSION, *, builds: bool = True, slow_s: float = 0, revision: str = REVISION
) -> StandIn:
    """Debian's open flavour."""
    return kernel_module(
        "nvidia-open-kernel-dkms",
        version,
        name="nvidia-current-open",
        conflicts="nvidia-kernel-dkms",
        flavour="open",
        builds=builds,
        slow_s=slow_s,
        revision=revision,
    )


def libraries(version: str = VERSION, *, slow_s: float = 0, revision: str = REVISION) -> tuple[StandIn, ...]:
    """What programs link against: names and versions, without content."""
    scripts = {"postinst": f"#!/bin/sh\nsleep {slow_s}\n"} if slow_s else {}
    return tuple(
        StandIn(name, version + revision, scripts=scripts, relations={"Source": "nvidia-graphics-drivers"})
        for name in ("libcuda1", "libnvcuvid1", "libnvidia-encode1")
    )


def programs(version: str = VERSION, *, revision: str = REVISION) -> tuple[StandIn, ...]:
    """nvidia-smi and nvidia-persistenced in name alone, for hosts that have no use for the archive's own."""
    return tuple(StandIn(name, version + revision) for name in ("nvidia-smi", "nvidia-persistenced"))


def toolkit(*, slow_s: float = 0, version: str = "12.4.131~12.4.1-2+standin1") -> StandIn:
    """The distribution's CUDA compiler, in name."""
    scripts = {"postinst": f"#!/bin/sh\nsleep {slow_s}\n"} if slow_s else {}
    release = ".".join(version.split(".")[:2])
    nvcc = _NVCC.format(release=release)
    return StandIn("nvidia-cuda-toolkit", version, {"usr/bin/nvcc": nvcc}, scripts=scripts)


def debian_driver(
    version: str = VERSION, *, builds: bool = True, slow_s: float = 0, revision: str = REVISION
) -> tuple[StandIn, ...]:
    """All that stands in on a Debian 13 host; nvidia-smi and nvidia-persistenced come from the archive itself."""
    return (
        kernel_module(version=version, builds=builds, slow_s=slow_s, revision=revision),
        open_kernel_module(version, builds=builds, slow_s=slow_s, revision=revision),
        *libraries(version, slow_s=slow_s, revision=revision),
        toolkit(slow_s=slow_s),
    )
