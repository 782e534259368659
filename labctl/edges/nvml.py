"""The cards of this machine, as NVIDIA's own library reports them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

from labctl.edges import catalog
from labctl.errors import Failed
from labctl.rig.gpu import Architecture, Gpu, plain_name
from labctl.rig.rig import Card, Cpu, Host, Rig, default_reserved_mib
from labctl.rig.rig import visible_mib as visible_mib_of

MIB = 1024 * 1024
# By compute capability, the newest first: CUDA C++ Programming Guide, Compute Capabilities.
_ARCHITECTURES: tuple[tuple[tuple[int, int], Architecture], ...] = (
    ((10, 0), "blackwell"),
    ((9, 0), "hopper"),
    ((8, 9), "ada"),
    ((8, 0), "ampere"),
    ((7, 5), "turing"),
    ((7, 0), "volta"),
    ((6, 0), "pascal"),
    ((5, 0), "maxwell"),
    ((0, 0), "kepler"),
)
# What the kernel has where a driver is loaded: on Linux, under WSL, on Jetson.
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap")
_MILLIWATTS = 1000


def live_rig() -> Rig | None:
    """This machine, or None where no NVIDIA driver is loaded. Raises Failed where the driver answers with an error."""
    with _nvml() as nvml:
        if nvml is None:
            return None
        name = os.uname().nodename
        count = nvml.nvmlDeviceGetCount()
        cards = tuple(
            _card(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index, name) for index in range(count)
        )
        return Rig(name, (Host(name, cards, Cpu(), _meminfo_mib("MemTotal")),)) if cards else None


@contextmanager
def _nvml() -> Iterator[ModuleType | None]:
    if not _has_driver():
        yield None
        return
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if getattr(error, "value", None) not in (
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        ):
            raise _failed(error) from error
        yield None
        return
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise _failed(error) from error
    finally:
        pynvml.nvmlShutdown()


def _has_driver() -> bool:
    """Asked first, because most who ask before they buy have none, and NVML's library takes its time to say so."""
    return any(Path(device).exists() for device in _DEVICES)


def _failed(error: Exception) -> Failed:
    return Failed(
        "the NVIDIA driver does not answer",
        where="NVML",
        found=str(error),
        hint="does `nvidia-smi` work? Or name a rig with --rig FILE or --gpu NAME",
    )


def _card(nvml: ModuleType, handle: object, index: int, host: str) -> Card:
    total_mib, used_mib, unified = _memory_mib(nvml, handle)
    gpu = _known(nvml, handle, nvml.nvmlDeviceGetName(handle), total_mib, unified=unified)
    # CUDA sees less than NVML's total, by what the driver keeps; that part counts as used from the start.
    visible_mib = min(total_mib, visible_mib_of(gpu))
    return Card(
        id=nvml.nvmlDeviceGetUUID(handle),
        host=host,
        index=index,
        gpu=gpu,
        memory_mib=visible_mib,
        reserved_mib=default_reserved_mib(visible_mib),
        foreign_mib=max(0, used_mib - (total_mib - visible_mib)),
        power_limit_watts=_power_limit(nvml, handle),
        pci=nvml.nvmlDeviceGetPciInfo(handle).busId,
    )


def _memory_mib(nvml: ModuleType, handle: object) -> tuple[int, int, bool]:
    """In all, in use, and whether it is the host's own: a GB10 has no card's memory to report."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != nvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        total = _meminfo_mib("MemTotal")
        return total, total - _meminfo_mib("MemAvailable"), True
    # Rounded against the person: what is half used is used.
    return memory.total // MIB, -(-memory.used // MIB), False


def _known(nvml: ModuleType, handle: object, name: str, memory_mib: int, *, unified: bool) -> Gpu:
    """The catalogue's card of this name and memory; else what NVML tells, with the rest unknown.

    NVML has one name for cards of two sizes; the catalogue tells them apart by a size in the title, `… 12 GB`.
    """
    wanted = _without_size(name)
    same = [
        gpu
        for gpu in catalog.gpus()
        if any(_without_size(each) == wanted for each in (gpu.name, gpu.title, *gpu.aliases))
    ]
    nearest = min(same, key=lambda gpu: abs(gpu.memory_mib - memory_mib), default=None)
    if nearest is None or abs(nearest.memory_mib - memory_mib) > nearest.memory_mib // 8:
        return _unlisted(nvml, handle, name, memory_mib, unified=unified)
    return nearest


def _without_size(name: str) -> str:
    return re.sub(r" \d+ ?gb?$", "", plain_name(name))


def _unlisted(nvml: ModuleType, handle: object, name: str, memory_mib: int, *, unified: bool) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    architecture = next(each for least, each in _ARCHITECTURES if (major, minor) >= least)
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Gpu))
    values |= {
        "name": name.lower().replace(" ", "-"),
        "title": name,
        "aliases": (),
        "architecture": architecture,
        "compute_capability": f"{major}.{minor}",
        "memory_mib": memory_mib,
        "cuda_memory_mib": memory_mib,
        "unified_memory": unified,
        "sources": (),
    }
    return Gpu(**values)


def _power_limit(nvml: ModuleType, handle: object) -> int | None:
    try:
        return int(nvml.nvmlDeviceGetPowerManagementLimit(handle)) // _MILLIWATTS
    except nvml.NVMLError:
        return None


def _meminfo_mib(key: str) -> int:
    """A line of /proc/meminfo, in MiB."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{key}:"))
