"""The cards of this machine, as NVIDIA's own library reports them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from labctl.edges import catalog
from labctl.errors import BadInput, Failed
from labctl.rig.gpu import Architecture, Gpu
from labctl.rig.rig import Card, Cpu, Host, Rig, default_reserved_mib

MIB = 1024 * 1024
# NVML_DEVICE_ARCH_* by number, https://docs.nvidia.com/deploy/nvml-api/.
_ARCHITECTURES = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
}
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
    if not _has_library():
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


def _has_library() -> bool:
    """Whether there is a driver's library at all; asked first, because most who ask before they buy have none."""
    try:
        CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _failed(error: Exception) -> Failed:
    return Failed(
        "the NVIDIA driver does not answer",
        where="NVML",
        found=str(error),
        hint="does `nvidia-smi` work? Or name a rig with --rig FILE or --gpu NAME",
    )


def _card(nvml: ModuleType, handle: object, index: int, host: str) -> Card:
    total_mib, used_mib = _memory_mib(nvml, handle)
    gpu = _known(nvml, handle, nvml.nvmlDeviceGetName(handle), total_mib)
    # CUDA sees less than NVML's total, by what the driver keeps; that part counts as used from the start.
    visible_mib = min(total_mib, gpu.cuda_memory_mib or total_mib)
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


def _memory_mib(nvml: ModuleType, handle: object) -> tuple[int, int]:
    """In all and in use. Unified memory (GB10) has no card's memory to report: the host's own stands in."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != nvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        total = _meminfo_mib("MemTotal")
        return total, total - _meminfo_mib("MemAvailable")
    return memory.total // MIB, memory.used // MIB


def _known(nvml: ModuleType, handle: object, name: str, memory_mib: int) -> Gpu:
    """The catalogue's card of this name and memory; else what NVML tells, with the rest unknown."""
    try:
        gpu = catalog.gpu(name)
    except BadInput:
        return _unlisted(nvml, handle, name, memory_mib)
    if abs(gpu.memory_mib - memory_mib) <= gpu.memory_mib // 8:
        return gpu
    # One name, two sizes: the catalogue tells them apart by memory.
    same = (each for each in catalog.gpus() if each.title.startswith(gpu.title))
    near = (each for each in same if abs(each.memory_mib - memory_mib) <= each.memory_mib // 8)
    return next(near, None) or _unlisted(nvml, handle, name, memory_mib)


def _unlisted(nvml: ModuleType, handle: object, name: str, memory_mib: int) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    said = _ARCHITECTURES.get(nvml.nvmlDeviceGetArchitecture(handle), "blackwell")
    architecture: Architecture = next(each for each in get_args(Architecture) if each == said)
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Gpu))
    values |= {
        "name": name.lower().replace(" ", "-"),
        "title": name,
        "aliases": (),
        "architecture": architecture,
        "compute_capability": f"{major}.{minor}",
        "memory_mib": memory_mib,
        "unified_memory": False,
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
