"""A simulated NVIDIA driver: what pynvml is asked for, answered from values. Nothing here is measured."""

# ruff: noqa: N802 - the names are pynvml's

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

MIB = 1024 * 1024
NOT_SUPPORTED, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, GPU_IS_LOST = 3, 9, 12, 15


class NVMLError(Exception):
    """As pynvml's own."""

    def __init__(self, value: int) -> None:
        super().__init__(f"simulated NVML error {value}")
        self.value = value


@dataclass
class SimulatedCard:
    """memory_mib: None where the driver has none to report."""

    name: str
    memory_mib: int | None
    used_mib: int = 0
    uuid: str = "GPU-simulated-0"
    capability: tuple[int, int] = (8, 6)
    limit_watts: int | None = 350
    lost: bool = False


class SimulatedNvml:
    """The module."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = NOT_SUPPORTED
    NVML_ERROR_DRIVER_NOT_LOADED = DRIVER_NOT_LOADED
    NVML_ERROR_LIBRARY_NOT_FOUND = LIBRARY_NOT_FOUND

    def __init__(self, *cards: SimulatedCard, error: int | None = None) -> None:
        self.cards = cards
        self.error = error
        self.running = False

    def nvmlInit(self) -> None:
        if self.error is not None:
            raise NVMLError(self.error)
        self.running = True

    def nvmlShutdown(self) -> None:
        self.running = False

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimulatedCard:
        return self.cards[index]

    def nvmlDeviceGetName(self, card: SimulatedCard) -> str:
        if card.lost:
            raise NVMLError(GPU_IS_LOST)
        return card.name

    def nvmlDeviceGetUUID(self, card: SimulatedCard) -> str:
        return card.uuid

    def nvmlDeviceGetMemoryInfo(self, card: SimulatedCard) -> SimpleNamespace:
        if card.memory_mib is None:
            raise NVMLError(NOT_SUPPORTED)
        return SimpleNamespace(total=card.memory_mib * MIB, used=card.used_mib * MIB)

    def nvmlDeviceGetCudaComputeCapability(self, card: SimulatedCard) -> tuple[int, int]:
        return card.capability

    def nvmlDeviceGetPowerManagementLimit(self, card: SimulatedCard) -> int:
        if card.limit_watts is None:
            raise NVMLError(NOT_SUPPORTED)
        return 1000 * card.limit_watts

    def nvmlDeviceGetPciInfo(self, card: SimulatedCard) -> SimpleNamespace:
        return SimpleNamespace(busId=f"00000000:{self.cards.index(card):02X}:00.0")


Install = Callable[..., SimulatedNvml]
