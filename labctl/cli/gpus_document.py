"""What `labctl gpus --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.errors import SCHEMA_VERSION
from labctl.rig.live import LiveHost, Reading
from labctl.rig.obstacles import obstacles
from labctl.rig.reported import Process


def gpus_document(hosts: tuple[LiveHost, ...], *, live: bool) -> dict[str, object]:
    """One JSON document. Every key is always there; null is what nobody knows. live: read now, not from a file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "live": live,
        "hosts": [_host(each) for each in hosts],
    }


def _host(live: LiveHost) -> dict[str, object]:
    host = live.host
    return {
        "name": host.name,
        "driver": host.driver,
        "cuda": host.cuda,
        "ram_mib": host.ram_mib,
        "ram_available_mib": live.available_mib,
        "cpu": asdict(host.cpu),
        "psu_watts": host.psu_watts,
        "disk_gib": host.disk_gib,
        "disk_free_gib": host.disk_free_gib,
        "gpus": [_gpu(each) for each in live.readings],
        "problems": list(live.problems),
    }


def _gpu(reading: Reading) -> dict[str, object]:
    card = reading.card
    return {
        "id": card.id,
        "index": card.index,
        "pci": card.pci,
        "model": card.gpu.name,
        "title": card.gpu.title,
        "architecture": card.gpu.architecture,
        "compute_capability": card.gpu.compute_capability,
        "memory": {
            "total_mib": reading.total_mib,
            "cuda_mib": card.memory_mib,
            "unified": card.gpu.unified_memory,
            "ours_mib": reading.ours_mib,
            "foreign_mib": reading.foreign_mib,
            "free_mib": reading.free_mib,
            "reserved_mib": card.reserved_mib,
            "usable_mib": card.usable_mib,
        },
        "power": {
            "draw_watts": reading.power_watts,
            "limit_watts": card.power_limit_watts,
            "default_watts": card.power_default_watts,
            "min_watts": card.power_min_watts,
            "max_watts": card.power_max_watts,
        },
        "pcie": asdict(card.pcie) | {"generation_now": reading.pcie_generation} if card.pcie else None,
        "nvlink": list(card.nvlink),
        "temperature_celsius": reading.temperature_celsius,
        "fan_percent": reading.fan_percent,
        "utilization_percent": reading.utilization_percent,
        "ecc": card.ecc,
        "ecc_pending": card.ecc_pending,
        "uncorrected_errors": reading.uncorrected_errors,
        "mig": card.mig,
        "compute_mode": card.compute_mode,
        "display": card.display,
        "obstacles": list(obstacles(card)),
        "processes": [_process(each) for each in reading.processes],
    }


def _process(process: Process) -> dict[str, object]:
    return asdict(process)
