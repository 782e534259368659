"""The cards of this machine, as NVIDIA's own library reports them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from labctl.edges import catalog
from labctl.edges.this_machine import machine_report
from labctl.errors import Failed
from labctl.rig.gpu import Gpu
from labctl.rig.live import LiveHost, live_host
from labctl.rig.reported import DriverReport, Lost, Process, Reported, unit_of
from labctl.rig.rig import ComputeMode, Pcie, Rig
from labctl.rig.unlisted import identify

MIB = 1024 * 1024
_MILLIWATTS = 1000
# What the kernel has where a driver is loaded: on Linux, under WSL, on Jetson.
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap")
# NVML_ERROR_GPU_IS_LOST, NVML_ERROR_UNKNOWN: of one card, which need not be the others' trouble.
_LOST = (15, 999)
# NVML_COMPUTEMODE_*; the second, one thread at a time, is gone since CUDA 8.
_COMPUTE_MODES: dict[int, ComputeMode] = {
    0: "default",
    1: "exclusive_process",
    2: "prohibited",
    3: "exclusive_process",
}
# NVML_TEMPERATURE_GPU, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, NVML_NVLINK_MAX_LINKS, …_TYPE_SWITCH.
_ON_DIE, _UNCORRECTED, _SINCE_LOADED, _MOST_LINKS, _SWITCH = 0, 1, 0, 18, 2


def live_rig() -> Rig | None:
    """This machine, or None where no NVIDIA driver is loaded. Raises Failed where the driver answers with an error."""
    found = live()
    if found is None or not (found.host.cards or found.problems):
        return None
    if found.problems:
        raise _failed(found.problems[0])
    return Rig(found.host.name, (found.host,))


def live() -> LiveHost | None:
    """This machine and what its cards do now, or None where no NVIDIA driver is loaded.

    A card that does not answer is among its problems. Raises Failed where the driver as a whole answers with an error.
    """
    with _nvml() as nvml:
        if nvml is None:
            return None
        report = _report(nvml)
    return live_host(None, report, machine_report(), identified)


def identified(name: str, memory_mib: int | None, compute_capability: str | None) -> Gpu | None:
    """The catalogue's card that a driver means, or one made of what it tells."""
    return identify(name, memory_mib, compute_capability, catalog.gpus())


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
            raise _failed(str(error)) from error
        yield None
        return
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise _failed(str(error)) from error
    finally:
        pynvml.nvmlShutdown()


def _has_driver() -> bool:
    """Asked first, because most who ask before they buy have none, and NVML's library takes its time to say so."""
    return any(Path(device).exists() for device in _DEVICES)


def _failed(said: str) -> Failed:
    hint = "does `nvidia-smi` work? Or name a rig with --rig FILE or --gpu NAME"
    if "mismatch" in said:
        hint = "the driver was updated under the one that is loaded: reboot this machine"
    elif "lost" in said.lower() or "does not answer" in said:
        hint = (
            "reboot this machine; if it happens again look at the card's power cables, riser and temperature"
        )
    return Failed("the NVIDIA driver does not answer", where="NVML", found=said, hint=hint)


def _report(nvml: ModuleType) -> DriverReport:
    cards: list[Reported] = []
    lost: list[Lost] = []
    handles: dict[str, Any] = {}
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            card = _card(nvml, handle, index)
        except nvml.NVMLError as error:
            if getattr(error, "value", None) not in _LOST:
                raise
            lost.append(Lost(f"card {index}", str(error)))
            continue
        handles[card.pci] = handle
        cards.append(card)
    return DriverReport(
        driver=_ask(nvml, "nvmlSystemGetDriverVersion"),
        cuda=_cuda(_ask(nvml, "nvmlSystemGetCudaDriverVersion")),
        cards=tuple(_with_peers(nvml, card, handles[card.pci], cards) for card in cards),
        lost=tuple(lost),
    )


def _cuda(version: int | None) -> str | None:
    """12040 as 12.4."""
    return None if version is None else f"{version // 1000}.{version % 1000 // 10}"


def _ask(nvml: ModuleType, question: str, *arguments: object) -> Any:
    """The answer to a function of NVML, None where this card, this driver or this binding has none."""
    function = getattr(nvml, question, None)
    if function is None:
        return None
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) in _LOST:
            raise
        return None


def _card(nvml: ModuleType, handle: Any, index: int) -> Reported:
    def ask(question: str, *arguments: object) -> Any:
        return _ask(nvml, question, handle, *arguments)

    total, reserved, used = _memory_mib(nvml, handle)
    capability = ask("nvmlDeviceGetCudaComputeCapability")
    limits = ask("nvmlDeviceGetPowerManagementLimitConstraints")
    ecc, ecc_pending = ask("nvmlDeviceGetEccMode") or (None, None)
    mig = ask("nvmlDeviceGetMigMode")
    draw = ask("nvmlDeviceGetPowerUsage")
    use = ask("nvmlDeviceGetUtilizationRates")
    display = ask("nvmlDeviceGetDisplayActive")
    return Reported(
        index=index,
        uuid=nvml.nvmlDeviceGetUUID(handle),
        name=nvml.nvmlDeviceGetName(handle),
        pci=nvml.nvmlDeviceGetPciInfo(handle).busId.upper(),
        compute_capability=f"{capability[0]}.{capability[1]}" if capability else None,
        total_mib=total,
        reserved_mib=reserved,
        used_mib=used,
        power_watts=None if draw is None else draw / _MILLIWATTS,
        power_limit_watts=_watts(ask("nvmlDeviceGetPowerManagementLimit")),
        power_default_watts=_watts(ask("nvmlDeviceGetPowerManagementDefaultLimit")),
        power_min_watts=_watts(limits[0]) if limits else None,
        power_max_watts=_watts(limits[1]) if limits else None,
        pcie=_pcie(nvml, handle),
        pcie_generation=ask("nvmlDeviceGetCurrPcieLinkGeneration"),
        compute_mode=_COMPUTE_MODES.get(ask("nvmlDeviceGetComputeMode") or 0, "default"),
        ecc=None if ecc is None else bool(ecc),
        ecc_pending=None if ecc == ecc_pending else bool(ecc_pending),
        mig=None if mig is None else bool(mig[0]),
        display=None if display is None else bool(display),
        temperature_celsius=ask("nvmlDeviceGetTemperature", _ON_DIE),
        fan_percent=ask("nvmlDeviceGetFanSpeed"),
        utilization_percent=use.gpu if use else None,
        uncorrected_errors=ask(
            "nvmlDeviceGetTotalEccErrors",
            _UNCORRECTED,
            _SINCE_LOADED,
        ),
        processes=_processes(nvml, handle),
    )


def _memory_mib(nvml: ModuleType, handle: Any) -> tuple[int | None, int | None, int | None]:
    """In all, kept by the driver, in use. Drivers before 510 do not tell what they keep, and count it as used."""
    version = getattr(nvml, "nvmlMemory_v2", None)
    newer = None if version is None else _ask(nvml, "nvmlDeviceGetMemoryInfo", handle, version)
    if newer is not None:
        return newer.total // MIB, newer.reserved // MIB, _up_to_mib(newer.used)
    memory = _ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    return (None, None, None) if memory is None else (memory.total // MIB, None, _up_to_mib(memory.used))


def _up_to_mib(n_bytes: int) -> int:
    """Rounded against the person: what is half used is used."""
    return int(-(-n_bytes // MIB))


def _watts(milliwatts: int | None) -> int | None:
    return None if milliwatts is None else milliwatts // _MILLIWATTS


def _pcie(nvml: ModuleType, handle: Any) -> Pcie | None:
    lanes = _ask(nvml, "nvmlDeviceGetCurrPcieLinkWidth", handle)
    generation = _ask(nvml, "nvmlDeviceGetMaxPcieLinkGeneration", handle)
    if not lanes or not generation:
        return None
    best = _ask(nvml, "nvmlDeviceGetGpuMaxPcieLinkGeneration", handle) or generation
    return Pcie(generation, lanes, best, _ask(nvml, "nvmlDeviceGetMaxPcieLinkWidth", handle) or lanes)


def _processes(nvml: ModuleType, handle: Any) -> tuple[Process, ...]:
    """A process that computes and draws is in both lists."""
    found: dict[int, Process] = {}
    for kind, question in (
        ("C", "nvmlDeviceGetComputeRunningProcesses"),
        ("G", "nvmlDeviceGetGraphicsRunningProcesses"),
    ):
        for each in _ask(nvml, question, handle) or []:
            before = found.get(each.pid)
            if before:
                kind = f"{before.kind}+{kind}"
            memory = None if each.usedGpuMemory is None else each.usedGpuMemory // MIB
            unit, ours = unit_of(_proc(each.pid, "cgroup"))
            name = _ask(nvml, "nvmlSystemGetProcessName", each.pid) or _proc(each.pid, "comm").strip()
            found[each.pid] = Process(each.pid, name, memory, kind, unit, ours)
    return tuple(found.values())


def _proc(pid: int, name: str) -> str:
    """A file of a process, empty when it has gone or is somebody else's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _with_peers(nvml: ModuleType, card: Reported, handle: Any, cards: list[Reported]) -> Reported:
    of_bus = {each.pci: each.index for each in cards}
    peers: set[int] = set()
    for link in range(_MOST_LINKS):
        try:
            peers |= _peers_of(nvml, handle, link, of_bus)
        except nvml.NVMLError:  # the card at the other end is lost
            continue
    return replace(card, nvlink=tuple(sorted(peers - {card.index})))


def _peers_of(nvml: ModuleType, handle: Any, link: int, of_bus: dict[str, int]) -> set[int]:
    """Who is at the other end of a link: a card, or a switch, which joins every card of the machine."""
    if not _ask(nvml, "nvmlDeviceGetNvLinkState", handle, link):
        return set()
    if _ask(nvml, "nvmlDeviceGetNvLinkRemoteDeviceType", handle, link) == _SWITCH:
        return set(of_bus.values())
    remote = _ask(nvml, "nvmlDeviceGetNvLinkRemotePciInfo", handle, link)
    bus = None if remote is None else remote.busId.upper()
    return {of_bus[bus]} if bus in of_bus else set()
