"""A machine as it is now: its part of the rig, and what its cards do at this moment."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from labctl.rig.gpu import Gpu
from labctl.rig.host_report import HostReport
from labctl.rig.obstacles import obstacles
from labctl.rig.reported import DriverReport, Lost, Process, Reported
from labctl.rig.rig import Card, Cpu, Host, default_reserved_mib, visible_mib

# (name, total_mib, compute capability) → the card of the catalogue, or one made of what the driver tells.
Identify = Callable[[str, int | None, str | None], Gpu | None]


@dataclass(frozen=True)
class Reading:
    """What one card does now. It changes by the second, so it is no part of a rig. None: not known.

    total_mib: what the driver counts, of which `card.memory_mib` is what CUDA can use. ours_mib, foreign_mib: held by
    processes of our own units, and by others with what cannot be told. free_mib: neither.
    """

    card: Card
    total_mib: int | None
    ours_mib: int
    foreign_mib: int
    free_mib: int | None
    temperature_celsius: int | None = None
    fan_percent: int | None = None
    power_watts: float | None = None
    utilization_percent: int | None = None
    pcie_generation: int | None = None
    uncorrected_errors: int | None = None
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class LiveHost:
    """One machine. readings: one per card of `host`, in its order. problems: what could not be read, as sentences."""

    host: Host
    readings: tuple[Reading, ...]
    available_mib: int | None = None
    problems: tuple[str, ...] = ()


def live_host(name: str | None, report: DriverReport, machine: HostReport, identify: Identify) -> LiveHost:
    """One machine from what its driver and its kernel report. name: as the inventory calls it; else its own."""
    named = name or machine.name
    problems = [_sentence(each) for each in report.lost]
    readings: list[Reading] = []
    for reported in report.cards:
        gpu = identify(reported.name, reported.total_mib, reported.compute_capability)
        if gpu is None:
            problems.append(
                f"{reported.pci}: nobody knows what a {reported.name} can compute: it is not in the catalogue, and "
                "the driver is too old to tell"
            )
            continue
        readings.append(_reading(named, len(readings), reported, gpu, machine))
    readings = _with_peers(readings, report)
    unified = next((each.card.gpu for each in readings if each.card.gpu.unified_memory), None)
    bandwidth = machine.memory_bandwidth_gbs or (unified.bandwidth_gbs if unified else None)
    host = Host(
        name=named,
        cards=tuple(each.card for each in readings),
        cpu=Cpu(machine.cpu_model, machine.sockets, machine.cores, bandwidth),
        ram_mib=machine.ram_mib,
        disk_gib=machine.disk_gib,
        disk_free_gib=machine.disk_free_gib,
        driver=report.driver,
        cuda=report.cuda,
    )
    return LiveHost(host, tuple(readings), machine.available_mib, tuple(problems))


def planned(host: Host) -> LiveHost:
    """A host of a rig file in the same form: memory as the file says, and nothing of this moment."""
    readings = tuple(
        Reading(
            card=card,
            total_mib=card.memory_mib,
            ours_mib=0,
            foreign_mib=card.foreign_mib,
            free_mib=None if card.memory_mib is None else max(0, card.memory_mib - card.foreign_mib),
        )
        for card in host.cards
    )
    return LiveHost(host, readings)


def remarks(reading: Reading) -> tuple[str, ...]:
    """What a person should know of a card beside its figures; what stands in the way of placement first."""
    card, found = reading.card, list(obstacles(reading.card))
    if card.pcie and card.pcie.lanes < card.pcie.device_lanes:
        found.append(
            f"PCIe ×{card.pcie.lanes} of ×{card.pcie.device_lanes}: the slot, a riser or a lane shared with another"
        )
    if reading.uncorrected_errors:
        found.append(f"{reading.uncorrected_errors} uncorrected memory errors since the driver was loaded")
    return tuple(found)


def _sentence(lost: Lost) -> str:
    return f"{lost.pci}: this card does not answer: {lost.reason.rstrip('.')}"


def _reading(host: str, index: int, reported: Reported, gpu: Gpu, machine: HostReport) -> Reading:
    ours = sum(each.memory_mib or 0 for each in reported.processes if each.ours)
    if gpu.unified_memory:
        # One pool: what the host took is missing on the card. NVML says N/A, or something that is not so.
        total = visible = machine.ram_mib
        used = None
        if machine.ram_mib is not None and machine.available_mib is not None:
            used = machine.ram_mib - machine.available_mib
    else:
        total, used = reported.total_mib, reported.used_mib
        visible = None if total is None else total - (reported.reserved_mib or 0)
    if visible is not None and (gpu.cuda_memory_mib or reported.reserved_mib is None):
        visible = min(visible, visible_mib(gpu) or visible)
    if used is not None and total is not None and visible is not None and _reserve_is_in_use(reported, gpu):
        used = max(0, used - (total - visible))
    foreign = max(0, (used or 0) - ours)
    card = Card(
        id=reported.uuid or f"{host}/{index}",
        host=host,
        index=index,
        gpu=gpu,
        memory_mib=visible,
        reserved_mib=default_reserved_mib(visible or 0),
        foreign_mib=foreign,
        power_limit_watts=reported.power_limit_watts,
        pci=reported.pci or None,
        compute_mode=reported.compute_mode,
        ecc=reported.ecc,
        display=reported.display,
        power_default_watts=reported.power_default_watts,
        power_min_watts=reported.power_min_watts,
        power_max_watts=reported.power_max_watts,
        # A unified card sits beside the processor; the link that its driver reports is made up.
        pcie=None if gpu.unified_memory else reported.pcie,
        mig=reported.mig,
        ecc_pending=reported.ecc_pending,
    )
    return Reading(
        card=card,
        total_mib=total,
        ours_mib=ours,
        foreign_mib=foreign,
        free_mib=None if visible is None or used is None else max(0, visible - foreign - ours),
        temperature_celsius=reported.temperature_celsius,
        fan_percent=reported.fan_percent,
        power_watts=reported.power_watts,
        utilization_percent=reported.utilization_percent,
        pcie_generation=reported.pcie_generation,
        uncorrected_errors=reported.uncorrected_errors,
        processes=reported.processes,
    )


def _reserve_is_in_use(reported: Reported, gpu: Gpu) -> bool:
    """Drivers that do not tell what they keep count it as used."""
    return not gpu.unified_memory and reported.reserved_mib is None


def _with_peers(readings: list[Reading], report: DriverReport) -> list[Reading]:
    """With NVLink peers by their place among the cards that were read."""
    place = {reading.card.pci: reading.card.index for reading in readings}
    pci_of = {reported.index: reported.pci for reported in report.cards}
    links = {
        reported.pci: tuple(
            sorted(place[pci_of[peer]] for peer in reported.nvlink if pci_of.get(peer) in place)
        )
        for reported in report.cards
    }
    return [
        replace(reading, card=replace(reading.card, nvlink=links.get(str(reading.card.pci), ())))
        for reading in readings
    ]
