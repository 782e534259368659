"""Which cards one driver runs, and which services run on it: a host has one kernel module for all of its cards."""

from collections.abc import Iterable

from labctl.rig.gpu import Architecture, Gpu
from labctl.workloads.service import Service

# Up to branch 580 and with the proprietary module alone; with the open one alone; not since branch 470.
# https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/ and the release
# notes of 580, the last branch for Maxwell, Pascal and Volta.
PROPRIETARY_ONLY: frozenset[Architecture] = frozenset({"maxwell", "pascal", "volta"})
OPEN_ONLY: frozenset[Architecture] = frozenset({"blackwell"})
TOO_OLD: frozenset[Architecture] = frozenset({"kepler"})


def no_common_driver(gpus: Iterable[Gpu]) -> str | None:
    """Why no driver runs these cards together, in words; None where one does."""
    found = sorted(set(gpus), key=lambda gpu: gpu.name)
    for gpu in found:
        if gpu.architecture in TOO_OLD:
            return f"no driver of today runs a {gpu.title} any more"
    older = [gpu for gpu in found if gpu.architecture in PROPRIETARY_ONLY]
    newer = [gpu for gpu in found if gpu.architecture in OPEN_ONLY]
    if older and newer:
        return (
            f"no driver runs both a {older[0].title} (NVIDIA's proprietary module alone) "
            f"and a {newer[0].title} (the open one alone)"
        )
    return None


def too_old_a_driver(service: Service, driver: str | None, gpu: Gpu) -> str | None:
    """Why a service does not run on such a card with this driver, in words; None where it does, or nobody knows."""
    least = service.gpu.driver_for(gpu.capability)
    if driver is None or least is None or _numbers(driver) >= _numbers(least):
        return None
    return f"{service.title} needs driver {least} or newer there, and {driver} runs"


def oldest_driver(service: Service, driver: str | None, gpus: Iterable[Gpu]) -> str | None:
    """What a driver would have to be at least for a service on all of these cards; None where this one will do."""
    too_old = (gpu for gpu in gpus if too_old_a_driver(service, driver, gpu))
    needed = (service.gpu.driver_for(gpu.capability) for gpu in too_old)
    return max((each for each in needed if each), key=_numbers, default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
