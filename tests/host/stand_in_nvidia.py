"""NVIDIA's own apt repositories as stand-ins: names and relations as they are there, two branches, two CUDAs.

What a version of a driver is called there: on Debian `nvidia-kernel-open-dkms` and `nvidia-driver-cuda`, every branch
under the same names; on Ubuntu `nvidia-dkms-580-open` and `libnvidia-compute-580`, and without a number since 590.
NVIDIA's dkms packages ask for a newer dkms than Debian 12 has; these take the one that is there.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tests.host.stand_in_driver import kernel_module
from tests.host.stand_in_repository import STAND_IN, StandIn

OLD, NEW = "580.95.05", "595.58.03"
"""The long-term branch, and the one after it."""
_SECTION = {"Section": "NVIDIA"}
_NVCC = """#!/bin/sh
echo "{stand_in}"
echo "Cuda compilation tools, release {release}, V{release}.0"
"""


def toolkits() -> tuple[StandIn, ...]:
    """CUDA 12.9 and 13.0, and the names that follow the newest."""
    return (
        _toolkit("12-9", "12.9.1-1"),
        _toolkit("13-0", "13.0.2-1"),
        StandIn("cuda-toolkit-13", "13.0.2-1", depends="cuda-toolkit-13-0", relations=_SECTION),
        StandIn("cuda-toolkit", "13.0.2-1", depends="cuda-toolkit-13-0", relations=_SECTION),
        StandIn("cuda", "13.0.2-1", depends="cuda-toolkit-13-0, nvidia-open", relations=_SECTION),
    )


def _toolkit(number: str, version: str) -> StandIn:
    release = number.replace("-", ".")
    nvcc = _NVCC.format(stand_in=STAND_IN, release=release)
    return StandIn(
        f"cuda-toolkit-{number}", version, {f"usr/local/cuda-{release}/bin/nvcc": nvcc}, relations=_SECTION
    )


def pinning(version: str) -> StandIn:
    """What keeps apt on the branch of a version, by NVIDIA's own hand."""
    branch = version.partition(".")[0]
    text = f"Package: *nvidia* cuda-drivers* libcuda1\nPin: version {branch}.*\nPin-Priority: 600\n"
    name = f"nvidia-driver-pinning-{branch}"
    return StandIn(name, branch, {f"etc/apt/preferences.d/{name}": text}, relations=_SECTION)


def debian(
    *versions: str, contents: Mapping[str, Mapping[str, str | bytes]] = MappingProxyType({})
) -> tuple[StandIn, ...]:
    """The repository for a Debian, with the drivers of all these versions. contents: files of some, by package."""
    return (*(each for version in versions for each in _debian(version, contents)), *toolkits())


def _debian(version: str, contents: Mapping[str, Mapping[str, str | bytes]]) -> tuple[StandIn, ...]:
    exactly = f"(= {version}-1)"
    libraries = ("libcuda1", "libnvidia-ml1", "libnvcuvid1", "nvidia-persistenced", "nvidia-smi")
    return (
        pinning(version),
        kernel_module(
            "nvidia-kernel-open-dkms",
            version,
            name="nvidia",
            conflicts="nvidia-kernel-dkms",
            flavour="open",
            revision="-1",
            relations=_SECTION,
        ),
        kernel_module(
            "nvidia-kernel-dkms",
            version,
            name="nvidia",
            conflicts="nvidia-kernel-open-dkms",
            revision="-1",
            relations=_SECTION,
        ),
        *(StandIn(name, f"{version}-1", contents.get(name, {}), relations=_SECTION) for name in libraries),
        StandIn(
            "nvidia-driver-cuda",
            f"{version}-1",
            depends=", ".join([
                *(f"{name} {exactly}" for name in libraries),
                f"nvidia-kernel-open-dkms {exactly} | nvidia-kernel-dkms {exactly}",
            ]),
            relations=_SECTION,
        ),
    )  # fmt: skip


def ubuntu() -> tuple[StandIn, ...]:
    """The repository for an Ubuntu: 580 under its number, and the newer branch under plain names."""
    return (*_ubuntu(OLD, "-580"), *_ubuntu(NEW, ""), *toolkits())


def _ubuntu(version: str, number: str) -> tuple[StandIn, ...]:
    revision = "-0ubuntu1"
    exactly = f"(= {version}{revision})"
    compute = f"libnvidia-compute{number}"
    modules = [f"nvidia-dkms{number}", f"nvidia-dkms{number}-open"]
    return (
        pinning(version),
        *(
            kernel_module(
                name,
                version,
                name="nvidia",
                conflicts=other,
                flavour="open" if name.endswith("-open") else "proprietary",
                revision=revision,
                relations=_SECTION,
            )
            for name, other in (modules, modules[::-1])
        ),
        StandIn(compute, version + revision, relations=_SECTION),
        *(
            StandIn(f"{name}{number}", version + revision, depends=f"{compute} {exactly}", relations=_SECTION)
            for name in ("nvidia-utils", "nvidia-compute-utils", "libnvidia-decode", "libnvidia-encode")
        ),
    )
