"""The same decision a second time, by hand: what NVIDIA's and the distributions' pages say, and no row of the table.

A card goes by its compute capability here, not by its PCI id, and the answers are written out instead of worked out.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["old", "middle", "new"]
_GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide"
# "Proprietary … is required for older GPUs from the Maxwell, Pascal, or Volta architectures. The open-source GPU kernel
# modules are not compatible with these platforms" (_GUIDE/kernel-modules.html); "For cutting-edge platforms such as
# NVIDIA Grace Hopper or NVIDIA Blackwell, you must use the open-source GPU kernel modules" and "For mixed deployments
# with older and newer GPUs in the same system, continue to use the proprietary driver"
# (https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/).
# CUDA C++ Programming Guide, Compute Capabilities: 5.x Maxwell, 6.x Pascal, 7.0 Volta, 7.5 Turing, 10 and 12 Blackwell.
FIRST_MIDDLE, FIRST_NEW, FIRST_WITH_CUDA_12 = (7, 5), (10, 0), (5, 0)


def kind(capability: tuple[int, int]) -> Kind | None:
    """None: no driver that is still kept."""
    if capability < FIRST_WITH_CUDA_12:
        return None
    return "old" if capability < FIRST_MIDDLE else "middle" if capability < FIRST_NEW else "new"


@dataclass(frozen=True)
class Answer:
    """module: the package with the kernel module. cuda: the toolkit's package; None: containers only."""

    source: Literal["nvidia", "distribution"]
    branch: int
    flavour: Literal["open", "proprietary"]
    module: str
    cuda: str | None


_DEBIAN_12 = f"{_GUIDE}/version-locking.html, compute-only-and-desktop-installation.html"
_DEBIAN_13 = "https://github.com/NVIDIA/cuda-repo-management/issues/38 (no 580), https://packages.debian.org/trixie/nvidia-kernel-dkms"
_UBUNTU_24 = f"{_GUIDE}/recent-updates.html (the suffixes of 580), https://packages.ubuntu.com/source/noble/nvidia-graphics-drivers-580-server"
_UBUNTU_26 = "https://packages.ubuntu.com/source/resolute/nvidia-graphics-drivers-580-server"
_SIGNED = "linux-modules-nvidia-580-server"

# System, and whether Secure Boot is on with no key enrolled → by the kinds of cards in one host, and the source.
# CUDA: 12.8 is the first for Blackwell (CUDA 12.8 release notes); Debian's and Ubuntu's own toolkits are older.
ANSWERS: dict[tuple[str, str, bool], tuple[dict[str, Answer | str], str]] = {
    ("debian", "12", False): (
        {
            "old": Answer("nvidia", 580, "proprietary", "nvidia-kernel-dkms", "cuda-toolkit-12-9"),
            "middle": Answer("nvidia", 580, "open", "nvidia-kernel-open-dkms", "cuda-toolkit-12-9"),
            "new": Answer("nvidia", 580, "open", "nvidia-kernel-open-dkms", "cuda-toolkit-12-9"),
            "middle old": Answer("nvidia", 580, "proprietary", "nvidia-kernel-dkms", "cuda-toolkit-12-9"),
            "middle new": Answer("nvidia", 580, "open", "nvidia-kernel-open-dkms", "cuda-toolkit-12-9"),
            "new old": "mixed",
        },
        _DEBIAN_12,
    ),
    ("debian", "13", False): (
        {
            "old": Answer("distribution", 550, "proprietary", "nvidia-kernel-dkms", "nvidia-cuda-toolkit"),
            "middle": Answer("nvidia", 595, "open", "nvidia-kernel-open-dkms", "nvidia-cuda-toolkit"),
            "new": Answer("nvidia", 595, "open", "nvidia-kernel-open-dkms", None),
            "middle old": Answer(
                "distribution", 550, "proprietary", "nvidia-kernel-dkms", "nvidia-cuda-toolkit"
            ),
            "middle new": Answer("nvidia", 595, "open", "nvidia-kernel-open-dkms", None),
            "new old": "mixed",
        },
        _DEBIAN_13,
    ),
    ("ubuntu", "24.04", False): (
        {
            "old": Answer("nvidia", 580, "proprietary", "nvidia-dkms-580", "cuda-toolkit-12-9"),
            "middle": Answer("nvidia", 580, "open", "nvidia-dkms-580-open", "cuda-toolkit-12-9"),
            "new": Answer("nvidia", 580, "open", "nvidia-dkms-580-open", "cuda-toolkit-12-9"),
            "middle old": Answer("nvidia", 580, "proprietary", "nvidia-dkms-580", "cuda-toolkit-12-9"),
            "middle new": Answer("nvidia", 580, "open", "nvidia-dkms-580-open", "cuda-toolkit-12-9"),
            "new old": "mixed",
        },
        _UBUNTU_24,
    ),
    ("ubuntu", "26.04", False): (
        {
            "old": Answer("distribution", 580, "proprietary", f"{_SIGNED}-generic", "nvidia-cuda-toolkit"),
            "middle": Answer("distribution", 580, "open", f"{_SIGNED}-open-generic", "nvidia-cuda-toolkit"),
            "new": Answer("distribution", 580, "open", f"{_SIGNED}-open-generic", None),
            "middle old": Answer(
                "distribution", 580, "proprietary", f"{_SIGNED}-generic", "nvidia-cuda-toolkit"
            ),
            "middle new": Answer("distribution", 580, "open", f"{_SIGNED}-open-generic", None),
            "new old": "mixed",
        },
        _UBUNTU_26,
    ),
}
# Secure Boot: what is built on the host wants a key that only somebody at its screen can enroll
# (https://wiki.debian.org/SecureBoot); Ubuntu's ready-made modules are signed by Canonical.
_ENROLL_FIRST = dict.fromkeys(("old", "middle", "new", "middle old", "middle new"), "secure-boot") | {
    "new old": "mixed"
}
ANSWERS |= {
    ("debian", "12", True): (dict(_ENROLL_FIRST), "https://wiki.debian.org/SecureBoot"),
    ("debian", "13", True): (dict(_ENROLL_FIRST), "https://wiki.debian.org/SecureBoot"),
    ("ubuntu", "24.04", True): (ANSWERS["ubuntu", "26.04", False][0], _UBUNTU_24),
    ("ubuntu", "26.04", True): ANSWERS["ubuntu", "26.04", False],
}


# The H200 NVL is on no list of NVIDIA's before 565 (README of open-gpu-kernel-modules 550.163.01 and 565.57.01), and
# Debian 13 has nothing for an old card but 550.
NO_DRIVER_FOR_BOTH = {("debian", "13", "h200-nvl", "old"): "undriven"}


def answer(kinds: set[Kind], system: tuple[str, str], *, secure_boot: bool) -> tuple[Answer | str, str]:
    """What a host with these kinds of cards gets, or the code of the refusal; and the page that says so."""
    answers, page = ANSWERS[(*system, secure_boot)]
    if {"old", "new"} <= kinds:
        return answers["new old"], page
    return answers[" ".join(sorted(kinds))], page
