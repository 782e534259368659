"""Where a deploy of the card roles is cut off: ten points on stand-ins with slow scripts, three on the real packages.

As kill_points.py, but for where the seconds of most begin: at a word of dpkg's log, inside one package's own script.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.host.kill_points import Client, Kind, Point

SEED = 5
SLOW_S = 2.0
"""What each script of a stand-in takes beside its work; a module's build, a few more between two of them."""

BASE, MODULE, PACKAGES, LOADED, DEVICES = "base", "module", "driver packages", "driver", "devices"
ENDS = {
    MODULE: "nvidia_driver: module for the kernel that boots next",
    PACKAGES: "nvidia_driver: packages",
    LOADED: "nvidia_driver: loaded module",
    DEVICES: "container_toolkit: boot unit file",
}
"""The stages after `BASE`, each with the last operation of its run."""


@dataclass(frozen=True)
class _Place:
    kind: Kind
    client: Client
    stage: str
    after: str
    seconds: tuple[float, float]
    dpkg: str = ""


_PINS, _FILES, _INITRAMFS = (f"nvidia_driver: {name}" for name in ("pins", "modules at boot", "initramfs"))
_PLACES = (
    # The module is built, and made part of the initramfs.
    _Place("power cut", "labctl", BASE, _PINS, (2.2, 6.0), "configure nvidia-kernel-dkms"),
    _Place("client killed", "pyinfra", BASE, _PINS, (0.0, 6.0), "configure nvidia-kernel-dkms"),
    _Place("cable cut", "labctl", MODULE, ENDS[MODULE], (0.0, 1.8), "configure libnvcuvid1"),
    _Place("power cut", "pyinfra", MODULE, ENDS[MODULE], (0.0, 1.8), "configure libcuda1"),
    _Place("power cut", "labctl", PACKAGES, _FILES, (0.8, 3.0)),  # the initramfs is written
    _Place("client killed", "labctl", PACKAGES, _INITRAMFS, (0.0, 3.0)),  # the host is asked to go, and goes
    _Place("power cut", "pyinfra", PACKAGES, _INITRAMFS, (1.5, 5.0)),  # it goes, and boots
    _Place("power cut", "labctl", LOADED, "cuda: settings", (0.0, 1.8), "configure nvidia-cuda-toolkit"),
    _Place("cable cut", "pyinfra", LOADED, "nvidia_persistence: daemon settings", (0.0, 1.0)),
    _Place("power cut", "labctl", DEVICES, "container_toolkit: boot unit", (0.0, 1.0)),  # cards are described
    _Place("power cut", "labctl", DEVICES, "podman: image pruning", (0.2, 1.5)),  # limits are set
)
_REAL = (
    _Place("power cut", "labctl", BASE, _PINS, (20.0, 60.0), "configure nvidia-kernel-dkms"),
    _Place("power cut", "labctl", MODULE, ENDS[MODULE], (0.0, 0.05), "configure libcuda1"),
    _Place(
        "power cut", "labctl", PACKAGES, "cuda: settings", (0.0, 3.0), "status half-installed nvidia-cuda-dev"
    ),
)


def points() -> Iterator[Point]:
    """Those on stand-ins."""
    yield from _drawn(_PLACES)


def real_points() -> Iterator[Point]:
    """Those in the distribution's real packages."""
    yield from _drawn(_REAL)


def _drawn(places: tuple[_Place, ...]) -> Iterator[Point]:
    draw = random.Random(SEED)
    for place in places:
        seconds = draw.uniform(*place.seconds)
        yield Point(place.kind, place.client, place.stage, place.after, seconds, dpkg=place.dpkg)
