"""What `nvidia-smi -q -x` and its siblings print, as values. Text in, values out; running it is the caller's."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping

from labctl.rig.reported import DriverReport, Lost, Process, Reported
from labctl.rig.rig import ComputeMode, Pcie
from labctl.rig.unlisted import capability_of

_NUMBER = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*(?:[A-Za-z%°/]*)\s*$")
# "Unable to determine the device handle for GPU1: GPU is lost.  Reboot …", or "… for GPU 0000:41:00.0: Unknown Error".
_NO_HANDLE = re.compile(r"device handle for gpu\s*(.+?):\s+([A-Z].*)", re.IGNORECASE)
_BUS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d")
_LOST = re.compile(r"GPU is lost|Unknown Error|Reset Required|requires a reset", re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TOPOLOGY_CELL = re.compile(r"^NV\d+$")
_COMPUTE_MODES: Mapping[str, ComputeMode] = {
    "default": "default",
    "exclusive_thread": "exclusive_process",
    "exclusive_process": "exclusive_process",
    "prohibited": "prohibited",
}


class NotNvidiaSmi(ValueError):
    """The text is not what nvidia-smi prints; the message is what it says instead."""


def parse(
    text: str, capabilities: str = "", topology: str = "", cgroups: Mapping[int, str] | None = None
) -> DriverReport:
    """The driver's report.

    text: `nvidia-smi -q -x`, or several of them with `-i`, with complaints between. capabilities:
    `--query-gpu=pci.bus_id,compute_cap --format=csv,noheader`. topology: `topo -m`. cgroups: /proc/PID/cgroup of the
    processes in it. Raises NotNvidiaSmi where there is no document.
    """
    documents = [
        _document(part) for part in re.findall(r"<nvidia_smi_log>.*?</nvidia_smi_log>", text, re.DOTALL)
    ]
    outside = re.sub(r"<nvidia_smi_log>.*?</nvidia_smi_log>", "", text, flags=re.DOTALL)
    lost = lost_cards(outside)
    if not documents and not lost:
        raise NotNvidiaSmi(_said(text))
    found: dict[str, ET.Element] = {}
    for gpu in (gpu for document in documents for gpu in document.iter("gpu")):
        bus = _bus(gpu.get("id") or "")
        memory = gpu.findtext("fb_memory_usage/total") or ""
        if _LOST.search(memory):
            lost.append(Lost(bus, memory.strip()))
        else:
            found.setdefault(bus, gpu)
    by_bus = dict(_capability_lines(capabilities))
    # nvidia-smi lists in PCI order; by itself (`-i`) every card would be the first.
    ordered = sorted(found, key=_bus_key)
    peers = _peers(topology) if not lost else {}
    cards = tuple(
        _card(index, bus, found[bus], by_bus.get(bus), peers.get(index, ()), cgroups or {})
        for index, bus in enumerate(ordered)
    )
    first = documents[0] if documents else None
    return DriverReport(
        driver=_word(first, "driver_version"),
        cuda=_word(first, "cuda_version"),
        cards=cards,
        lost=tuple({each.pci: each for each in lost if each.pci not in found}.values()),
    )


def lost_cards(text: str) -> list[Lost]:
    """The cards of which nvidia-smi complains that it gets no handle, as often as it does."""
    return [Lost(_which(card), reason.strip()) for card, reason in _NO_HANDLE.findall(text)]


def pids(text: str) -> tuple[int, ...]:
    """The processes that a report names."""
    return tuple(dict.fromkeys(int(pid) for pid in re.findall(r"<pid>(\d+)</pid>", text)))


def _document(text: str) -> ET.Element:
    try:
        return ET.fromstring(text)  # noqa: S314 - without its head nothing can declare an entity
    except ET.ParseError as error:
        raise NotNvidiaSmi(f"broken XML: {error}") from error


def _said(text: str) -> str:
    """The line that tells most of what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else "nothing"


def _card(
    index: int,
    bus: str,
    gpu: ET.Element,
    capability: str | None,
    nvlink: tuple[int, ...],
    cgroups: Mapping[int, str],
) -> Reported:
    power = _power(gpu)
    ecc = _switch(gpu, "ecc_mode/current_ecc")
    pending = _switch(gpu, "ecc_mode/pending_ecc")
    mode = (_word(gpu, "compute_mode") or "default").lower().replace(" ", "_")
    return Reported(
        index=index,
        uuid=_word(gpu, "uuid") or "",
        name=_word(gpu, "product_name") or "unknown",
        pci=bus,
        compute_capability=capability or capability_of(_word(gpu, "product_architecture")),
        total_mib=_whole(gpu, "fb_memory_usage/total"),
        reserved_mib=_whole(gpu, "fb_memory_usage/reserved"),
        used_mib=_whole(gpu, "fb_memory_usage/used"),
        power_watts=_first(power, ("instant_power_draw", "power_draw", "average_power_draw")),
        power_limit_watts=_watts(power, ("current_power_limit", "power_limit", "enforced_power_limit")),
        power_default_watts=_watts(power, ("default_power_limit",)),
        power_min_watts=_watts(power, ("min_power_limit",)),
        power_max_watts=_watts(power, ("max_power_limit",)),
        pcie=_pcie(gpu),
        pcie_generation=_whole(gpu, "pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
        compute_mode=_COMPUTE_MODES.get(mode, "default"),
        ecc=ecc,
        ecc_pending=pending if pending != ecc else None,
        mig=_switch(gpu, "mig_mode/current_mig"),
        display=_switch(gpu, "display_active"),
        temperature_celsius=_whole(gpu, "temperature/gpu_temp"),
        fan_percent=_whole(gpu, "fan_speed"),
        utilization_percent=_whole(gpu, "utilization/gpu_util"),
        uncorrected_errors=_uncorrected(gpu),
        nvlink=nvlink,
        processes=tuple(_processes(gpu, cgroups)),
    )


def _processes(gpu: ET.Element, cgroups: Mapping[int, str]) -> Iterable[Process]:
    """A process that computes and draws is listed once per kind, with the same memory."""
    from labctl.rig.reported import unit_of

    merged: dict[int, Process] = {}
    for each in gpu.iterfind("processes/process_info"):
        pid = _whole(each, "pid")
        if pid is None:
            continue
        kind = _word(each, "type") or "C"
        memory = _whole(each, "used_memory")
        unit, ours = unit_of(cgroups.get(pid, ""))
        before = merged.get(pid)
        if before:
            kind = before.kind if kind in before.kind else f"{before.kind}+{kind}"
            memory = max((m for m in (before.memory_mib, memory) if m is not None), default=None)
        name = (each.findtext("process_name") or "").strip()
        merged[pid] = Process(pid, name, memory, kind, unit, ours)
    return merged.values()


def _power(gpu: ET.Element) -> ET.Element | None:
    """`power_readings` up to 530, `gpu_power_readings` from 535 on."""
    newer = gpu.find("gpu_power_readings")
    return newer if newer is not None else gpu.find("power_readings")


def _pcie(gpu: ET.Element) -> Pcie | None:
    link = gpu.find("pci/pci_gpu_link_info")
    if link is None:
        return None
    lanes = _whole(link, "link_widths/current_link_width")
    best_lanes = _whole(link, "link_widths/max_link_width") or lanes
    generation = _whole(link, "pcie_gen/max_link_gen")
    best = _whole(link, "pcie_gen/max_device_link_gen") or generation
    if not (lanes and best_lanes and generation and best):
        return None
    return Pcie(generation, lanes, best, best_lanes)


def _uncorrected(gpu: ET.Element) -> int | None:
    """Since the driver was loaded. Drivers before 450 count by location and by bits."""
    volatile = gpu.find("ecc_errors/volatile")
    if volatile is None:
        return None
    names = (
        "sram_uncorrectable",
        "sram_uncorrectable_parity",
        "sram_uncorrectable_secded",
        "dram_uncorrectable",
        "double_bit/total",
    )
    counts = [count for name in names if (count := _whole(volatile, name)) is not None]
    return sum(counts) if counts else None


def _capability_lines(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        bus, _, capability = line.partition(",")
        if re.fullmatch(r"\s*\d+\.\d+\s*", capability):
            yield _bus(bus.strip()), capability.strip()


def matrix(text: str) -> dict[tuple[int, int], str]:
    """The cells of a table that `nvidia-smi topo` prints, by two cards' numbers; not those of a card and itself."""
    rows = [_ANSI.sub("", line).split("\t") for line in text.splitlines()]
    header = next((row for row in rows if any(cell.strip() == "GPU0" for cell in row[1:])), None)
    if header is None:
        return {}
    columns = [cell.strip() for cell in header]
    found: dict[tuple[int, int], str] = {}
    for row in rows:
        name = row[0].strip()
        if row is header or not re.fullmatch(r"GPU\d+", name):
            continue
        for column, cell in zip(columns, row, strict=False):
            if re.fullmatch(r"GPU\d+", column) and column != name:
                found[int(name[3:]), int(column[3:])] = cell.strip()
    return found


def bonded(cell: str) -> bool:
    """Whether a cell of `topo -m` stands for NVLink: `NV4` is a bond of four links."""
    return _TOPOLOGY_CELL.match(cell) is not None


def _peers(topology: str) -> dict[int, tuple[int, ...]]:
    """NVLink peers of each card, from the matrix."""
    cells = matrix(topology)
    cards = {card for card, _ in cells}
    return {
        card: tuple(sorted(to for at, to in cells if at == card and bonded(cells[at, to]))) for card in cards
    }


def _which(words: str) -> str:
    """A card by its bus id, where the complaint names that, else by its number."""
    bus = _BUS.search(words)
    return _bus(bus[0]) if bus else f"card {words}"


def _bus(text: str) -> str:
    """`00000000:41:00.0`, as nvidia-smi writes it now; older ones wrote four digits of domain."""
    domain, _, rest = text.upper().partition(":")
    return f"{domain.zfill(8)}:{rest}" if rest else text.upper()


def _bus_key(bus: str) -> tuple[int, ...]:
    return tuple(int(part, 16) for part in re.findall(r"[0-9A-Fa-f]+", bus))


def _word(element: ET.Element | None, path: str) -> str | None:
    text = (element.findtext(path) or "").strip() if element is not None else ""
    return None if text in ("", "N/A", "[N/A]") else text


def _number(element: ET.Element | None, path: str) -> float | None:
    """Without its unit. None for N/A, and for every sentence that may stand there instead."""
    matched = _NUMBER.match(_word(element, path) or "")
    return float(matched[1]) if matched else None


def _whole(element: ET.Element | None, path: str) -> int | None:
    found = _number(element, path)
    return None if found is None else int(found)


def _first(element: ET.Element | None, names: tuple[str, ...]) -> float | None:
    return next((found for name in names if (found := _number(element, name)) is not None), None)


def _watts(element: ET.Element | None, names: tuple[str, ...]) -> int | None:
    found = _first(element, names)
    return None if found is None else int(found)


def _switch(element: ET.Element, path: str) -> bool | None:
    return {"Enabled": True, "Yes": True, "Disabled": False, "No": False}.get(_word(element, path) or "")
