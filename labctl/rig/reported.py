"""What a driver reports of a card, whoever asked: NVML on this machine, nvidia-smi on another."""

import re
from dataclasses import dataclass

from labctl.rig.our_names import OUR_PREFIX, OUR_SLICE
from labctl.rig.rig import ComputeMode, Pcie

_UNIT = re.compile(r"\.(service|scope)$")


@dataclass(frozen=True)
class Process:
    """One process on one card. kind: C(ompute), G(raphics), or what else the driver says. unit: its systemd unit.

    memory_mib: None where the driver does not tell.
    """

    pid: int
    name: str
    memory_mib: int | None
    kind: str = "C"
    unit: str | None = None
    ours: bool = False


@dataclass(frozen=True)
class Reported:
    """One card. None: the driver says N/A, or is too old to know.

    total_mib is the driver's; reserved_mib what it keeps of that; used_mib what processes hold (with the reserved part
    where that is None). nvlink: indices of its peers. pcie_generation: at this moment.
    """

    index: int
    uuid: str
    name: str
    pci: str
    compute_capability: str | None = None
    total_mib: int | None = None
    reserved_mib: int | None = None
    used_mib: int | None = None
    power_watts: float | None = None
    power_limit_watts: int | None = None
    power_default_watts: int | None = None
    power_min_watts: int | None = None
    power_max_watts: int | None = None
    pcie: Pcie | None = None
    pcie_generation: int | None = None
    compute_mode: ComputeMode = "default"
    ecc: bool | None = None
    ecc_pending: bool | None = None
    mig: bool | None = None
    display: bool | None = None
    temperature_celsius: int | None = None
    fan_percent: int | None = None
    utilization_percent: int | None = None
    uncorrected_errors: int | None = None
    nvlink: tuple[int, ...] = ()
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class Lost:
    """A card that the driver lists and that does not answer. reason: in the driver's words."""

    pci: str
    reason: str


@dataclass(frozen=True)
class DriverReport:
    """Everything that the driver of one machine tells. cuda: the newest that it runs."""

    driver: str | None
    cuda: str | None
    cards: tuple[Reported, ...]
    lost: tuple[Lost, ...] = ()


def unit_of(cgroup: str) -> tuple[str | None, bool]:
    """The systemd unit that a process belongs to, by its /proc/PID/cgroup, and whether that is one of ours.

    A unit of a person's own session is never ours, whatever it is called: anyone may name one.
    """
    for line in cgroup.splitlines():
        parts = [part for part in line.rpartition(":")[2].split("/") if part]
        if parts[:1] != ["user.slice"]:
            ours = next((part for part in parts if _UNIT.search(part) and part.startswith(OUR_PREFIX)), None)
            if ours or OUR_SLICE in parts:
                return ours or next((part for part in reversed(parts) if _UNIT.search(part)), OUR_SLICE), True
        if units := [part for part in parts if _UNIT.search(part)]:
            return units[-1], False
    return None, False
