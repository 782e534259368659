"""The simulated driver at nvidia-ml-py's level, for machines without a C compiler: same description, same state.

Only what labctl asks. Where there is a compiler, the tests run on this and on the library, and both must agree.
"""

import os
from pathlib import Path
from types import SimpleNamespace as Answer
from typing import Any

from labctl.edges.nvml import MIB


class NVMLError(Exception):
    """As nvidia-ml-py's."""

    def __init__(self, value: int, said: str) -> None:
        super().__init__(said)
        self.value = value


NOT_SUPPORTED, NOT_LOADED, LOST, MISMATCH = 3, 9, 15, 18


class FakeNvml:
    """Stands in for the module `pynvml`."""

    NVMLError = NVMLError
    NVML_ERROR_NOT_SUPPORTED = NOT_SUPPORTED
    NVML_ERROR_DRIVER_NOT_LOADED = NOT_LOADED
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_GPU_IS_LOST = LOST
    NVML_ERROR_UNKNOWN = 999
    nvmlMemory_v2 = 2  # noqa: N815 - NVML's name

    def __init__(self) -> None:
        self._driver: dict[str, str] = {}
        self._cards: list[dict[str, Any]] = []

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name, as all below
        """Read the description."""
        path = Path(os.environ.get("SIMULATED_NVML", "/etc/simulated-nvml"))
        if not path.is_file() or self._fails("driver", "not-loaded"):
            raise NVMLError(NOT_LOADED, "Driver Not Loaded")
        if self._fails("driver", "mismatch"):
            raise NVMLError(MISMATCH, "Driver/library version mismatch")
        self._driver, self._cards = {}, []
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "card":
                self._cards.append({"link": [], "process": []})
            elif not self._cards:
                self._driver[key] = value
            elif key in ("link", "process"):
                self._cards[-1][key].append(value)
            else:
                self._cards[-1][key] = value

    def nvmlShutdown(self) -> None:  # noqa: N802 - NVML's name
        """Nothing to do."""

    def __getattr__(self, question: str) -> Any:
        """A plain figure of a card; everything with more to it is a method."""
        keys = {
            "nvmlDeviceGetUUID": "uuid",
            "nvmlDeviceGetName": "name",
            "nvmlDeviceGetPowerUsage": "power_mw",
            "nvmlDeviceGetPowerManagementDefaultLimit": "default_mw",
            "nvmlDeviceGetMaxPcieLinkGeneration": "generation",
            "nvmlDeviceGetGpuMaxPcieLinkGeneration": "device_generation",
            "nvmlDeviceGetCurrPcieLinkGeneration": "idle_generation",
            "nvmlDeviceGetCurrPcieLinkWidth": "lanes",
            "nvmlDeviceGetMaxPcieLinkWidth": "device_lanes",
            "nvmlDeviceGetDisplayActive": "display",
            "nvmlDeviceGetTemperature": "temperature",
            "nvmlDeviceGetFanSpeed": "fan",
        }
        if question not in keys:
            raise AttributeError(question)
        key = keys[question]
        text = key in ("uuid", "name")
        return lambda card, *_: self._alive(card)[key] if text else self._number(card, key)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:  # noqa: N802 - NVML's name
        return self._alive(self._cards[index])

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802 - NVML's name
        return self._driver["driver"]

    def nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802 - NVML's name
        return int(self._driver["cuda"])

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802 - NVML's name
        found = (each.split(" ", 3) for card in self._cards for each in card["process"])
        return next(str(name) for number, _, _, name in found if int(number) == pid)

    def nvmlDeviceGetCudaComputeCapability(self, card: dict[str, Any]) -> tuple[int, int]:  # noqa: N802 - NVML's name
        return self._number(card, "capability_major"), self._number(card, "capability_minor")

    def nvmlDeviceGetPciInfo(self, card: dict[str, Any]) -> Answer:  # noqa: N802 - NVML's name
        return Answer(busId=self._alive(card)["bus"])

    def nvmlDeviceGetMemoryInfo(self, card: dict[str, Any], version: int | None = None) -> Answer:  # noqa: N802 - NVML's name
        total, reserved = self._number(card, "total_mib"), self._number(card, "reserved_mib", 0)
        held = (int(each.split(" ")[1]) for each in card["process"])
        used = self._number(card, "other_used_mib", 0) + sum(mib for mib in held if mib > 0)
        if not version:
            return Answer(total=total * MIB, used=(used + reserved) * MIB)
        return Answer(total=total * MIB, reserved=reserved * MIB, used=used * MIB)

    def nvmlDeviceGetPowerManagementLimit(self, card: dict[str, Any]) -> int:  # noqa: N802 - NVML's name
        return self._kept(card, "power-limit", self._number(card, "limit_mw"))

    def nvmlDeviceGetPowerManagementLimitConstraints(self, card: dict[str, Any]) -> list[int]:  # noqa: N802 - NVML's name
        return [self._number(card, "min_mw"), self._number(card, "max_mw")]

    def nvmlDeviceGetEccMode(self, card: dict[str, Any]) -> list[int]:  # noqa: N802 - NVML's name
        current = self._number(card, "ecc")
        return [current, self._number(card, "ecc_pending", current)]

    def nvmlDeviceGetTotalEccErrors(self, card: dict[str, Any], _kind: int, _since: int) -> int:  # noqa: N802 - NVML's name
        self._number(card, "ecc")
        return self._kept(card, "ecc-errors", 0)

    def nvmlDeviceGetMigMode(self, card: dict[str, Any]) -> list[int]:  # noqa: N802 - NVML's name
        return [self._number(card, "mig")] * 2

    def nvmlDeviceGetUtilizationRates(self, card: dict[str, Any]) -> Answer:  # noqa: N802 - NVML's name
        return Answer(gpu=self._number(card, "utilization"))

    def nvmlDeviceGetComputeMode(self, card: dict[str, Any]) -> int:  # noqa: N802 - NVML's name
        return self._kept(card, "compute-mode", self._number(card, "compute_mode"))

    def nvmlDeviceGetComputeRunningProcesses(self, card: dict[str, Any]) -> list[Answer]:  # noqa: N802 - NVML's name
        return self._processes(card, "C")

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: dict[str, Any]) -> list[Answer]:  # noqa: N802 - NVML's name
        return self._processes(card, "G")

    def nvmlDeviceGetNvLinkState(self, card: dict[str, Any], link: int) -> int:  # noqa: N802 - NVML's name
        if link >= len(self._alive(card)["link"]):
            raise NVMLError(NOT_SUPPORTED, "Not Supported")
        return 1

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, card: dict[str, Any], _link: int) -> int:  # noqa: N802 - NVML's name
        self._alive(card)
        return 0

    def nvmlDeviceGetNvLinkRemotePciInfo(self, card: dict[str, Any], link: int) -> Answer:  # noqa: N802 - NVML's name
        return self.nvmlDeviceGetPciInfo(self._cards[int(card["link"][link])])

    def _processes(self, card: dict[str, Any], kind: str) -> list[Answer]:
        split = (each.split(" ", 3) for each in self._alive(card)["process"])
        return [
            Answer(pid=int(pid), usedGpuMemory=None if mib == "-1" else int(mib) * MIB)
            for pid, mib, of, _ in split
            if of == kind
        ]

    def _alive(self, card: dict[str, Any]) -> dict[str, Any]:
        if self._fails(card["uuid"], "lost"):
            raise NVMLError(LOST, "GPU is lost")
        return card

    def _number(self, card: dict[str, Any], key: str, otherwise: int | None = None) -> int:
        found = self._alive(card).get(key, otherwise)
        if found is None:
            raise NVMLError(NOT_SUPPORTED, "Not Supported")
        return int(found)

    @staticmethod
    def _state() -> Path:
        return Path(os.environ.get("SIMULATED_NVML_STATE", "/run/simulated-nvml"))

    def _fails(self, what: str, how: str) -> bool:
        return (self._state() / f"{what}.{how}").exists()

    def _kept(self, card: dict[str, Any], what: str, otherwise: int) -> int:
        path = self._state() / f"{card['uuid']}.{what}"
        return int(path.read_text()) if path.is_file() else otherwise
