"""The simulated library does as NVIDIA's does where something is set or fails; through nvidia-ml-py, unmodified."""

import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from labctl.edges.rigs import read_rig
from labctl.rig.reported import Process
from tests.house_rules.tree import ROOT
from tests.simulated_nvml.build import build, compiler
from tests.simulated_nvml.description import describe, uuid_of

PAIR = read_rig(str(ROOT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]
WITHOUT_A_COMPILER = (
    "no compiler here: the reader's tests run on the fake alone, and the host tier brings gcc"
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return build(tmp_path_factory.mktemp("nvml")) if compiler() else None


@pytest.fixture
def nvml(compiled: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """nvidia-ml-py on the library, its cards initialized; None without a compiler."""
    if compiled is None:
        print(WITHOUT_A_COMPILER)
        yield None
        return
    (tmp_path / "cards").write_text(describe(PAIR, {0: [Process(1, "/usr/bin/llama-server", 17_000)]}))
    monkeypatch.setenv("SIMULATED_NVML", str(tmp_path / "cards"))
    monkeypatch.setenv("SIMULATED_NVML_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("SIMULATED_NVML_LOG", str(tmp_path / "unanswered"))
    monkeypatch.setenv("SIMULATED_NVML_UID", "0")
    monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(compiled)))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    module: Any = pynvml
    module.nvmlInit()
    yield module
    module.nvmlShutdown()


def refused(nvml: Any, question: Any, *arguments: object) -> int:
    """The error that NVML answers with."""
    with pytest.raises(nvml.NVMLError) as error:
        question(*arguments)
    return int(error.value.value)


def test_a_limit_holds_within_its_range_for_root_until_a_reboot(
    nvml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if nvml is None:
        return
    card = nvml.nvmlDeviceGetHandleByUUID(uuid_of(1))
    low, high = nvml.nvmlDeviceGetPowerManagementLimitConstraints(card)
    nvml.nvmlDeviceSetPowerManagementLimit(card, 250_000)
    assert nvml.nvmlDeviceGetPowerManagementLimit(card) == 250_000
    assert nvml.nvmlDeviceGetPowerManagementLimit(nvml.nvmlDeviceGetHandleByIndex(0)) == 280_000
    for wrong in (low - 1, high + 1):
        assert (
            refused(nvml, nvml.nvmlDeviceSetPowerManagementLimit, card, wrong)
            == nvml.NVML_ERROR_INVALID_ARGUMENT
        )
    monkeypatch.setenv("SIMULATED_NVML_UID", "1000")
    refusal = refused(nvml, nvml.nvmlDeviceSetPowerManagementLimit, card, 260_000)
    assert refusal == nvml.NVML_ERROR_NO_PERMISSION
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    assert nvml.nvmlDeviceGetPowerManagementLimit(card) == 280_000


def test_persistence_and_compute_mode_are_kept(nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if nvml is None:
        return
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceGetPersistenceMode(card) == 0
    nvml.nvmlDeviceSetPersistenceMode(card, 1)
    nvml.nvmlDeviceSetComputeMode(card, 3)
    assert (nvml.nvmlDeviceGetPersistenceMode(card), nvml.nvmlDeviceGetComputeMode(card)) == (1, 3)
    monkeypatch.setenv("SIMULATED_NVML_UID", "1000")
    assert refused(nvml, nvml.nvmlDeviceSetPersistenceMode, card, 0) == nvml.NVML_ERROR_NO_PERMISSION


def test_a_card_that_nobody_uses_forgets_its_limit_with_persistence(nvml: Any) -> None:
    if nvml is None:
        return
    used, unused = (nvml.nvmlDeviceGetHandleByIndex(index) for index in (0, 1))
    for card in (used, unused):
        nvml.nvmlDeviceSetPersistenceMode(card, 1)
        nvml.nvmlDeviceSetPowerManagementLimit(card, 250_000)
        nvml.nvmlDeviceSetPersistenceMode(card, 0)
    assert nvml.nvmlDeviceGetPowerManagementLimit(used) == 250_000
    assert nvml.nvmlDeviceGetPowerManagementLimit(unused) == 280_000


def test_an_xid_is_told_once(nvml: Any, tmp_path: Path) -> None:
    if nvml is None:
        return
    events = nvml.nvmlEventSetCreate()
    for index in (0, 1):
        nvml.nvmlDeviceRegisterEvents(
            nvml.nvmlDeviceGetHandleByIndex(index), nvml.nvmlEventTypeXidCriticalError, events
        )
    assert refused(nvml, nvml.nvmlEventSetWait_v2, events, 1) == nvml.NVML_ERROR_TIMEOUT
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / f"{uuid_of(1)}.xid").write_text("79\n")
    told = nvml.nvmlEventSetWait_v2(events, 1)
    assert (told.eventType, told.eventData) == (nvml.nvmlEventTypeXidCriticalError, 79)
    assert refused(nvml, nvml.nvmlEventSetWait_v2, events, 1) == nvml.NVML_ERROR_TIMEOUT
    nvml.nvmlEventSetFree(events)


def test_a_lost_card_answers_nothing_and_its_neighbour_everything(nvml: Any, tmp_path: Path) -> None:
    if nvml is None:
        return
    first = nvml.nvmlDeviceGetHandleByIndex(0)
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / f"{uuid_of(0)}.lost").touch()
    assert refused(nvml, nvml.nvmlDeviceGetTemperature, first, 0) == nvml.NVML_ERROR_GPU_IS_LOST
    assert refused(nvml, nvml.nvmlDeviceGetHandleByIndex, 0) == nvml.NVML_ERROR_GPU_IS_LOST
    assert nvml.nvmlDeviceGetTemperature(nvml.nvmlDeviceGetHandleByIndex(1), 0) == 36


def test_who_asks_for_a_hanging_card_waits_and_its_neighbour_answers(nvml: Any, tmp_path: Path) -> None:
    if nvml is None:
        return
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / f"{uuid_of(0)}.hang").touch()
    answered: list[object] = []
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    assert nvml.nvmlDeviceGetUUID(card) == uuid_of(0)  # which the driver knows
    asking = threading.Thread(
        target=lambda: answered.append(nvml.nvmlDeviceGetTemperature(card, 0)), name="asks the hanging card"
    )
    asking.start()
    assert nvml.nvmlDeviceGetTemperature(nvml.nvmlDeviceGetHandleByIndex(1), 0) == 36
    asking.join(0.3)
    assert answered == []
    (tmp_path / "state" / f"{uuid_of(0)}.hang").unlink()
    asking.join()
    assert answered == [35]


def test_a_card_is_there_for_whoever_may_open_its_node(
    nvml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if nvml is None:
        return
    (tmp_path / "cards").write_text(describe(PAIR, nodes=True))
    monkeypatch.setenv("SIMULATED_NVML_NODES", str(tmp_path))
    (tmp_path / "nvidia1").touch()
    assert refused(nvml, nvml.nvmlInit) == nvml.NVML_ERROR_DRIVER_NOT_LOADED
    (tmp_path / "nvidiactl").touch()
    nvml.nvmlInit()
    assert nvml.nvmlDeviceGetCount() == 1
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    assert (nvml.nvmlDeviceGetUUID(card), nvml.nvmlDeviceGetMinorNumber(card)) == (uuid_of(1), 1)
    assert refused(nvml, nvml.nvmlDeviceGetNvLinkState, card, 0) == nvml.NVML_ERROR_NOT_SUPPORTED
    (tmp_path / "nvidia0").touch()
    nvml.nvmlInit()
    assert nvml.nvmlDeviceGetCount() == 2
    assert nvml.nvmlDeviceGetNvLinkState(nvml.nvmlDeviceGetHandleByIndex(1), 0) == 1


def test_what_is_not_simulated_is_not_supported_and_noted(nvml: Any, tmp_path: Path) -> None:
    if nvml is None:
        return
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    assert refused(nvml, nvml.nvmlDeviceGetEncoderStats, card) == nvml.NVML_ERROR_NOT_SUPPORTED
    assert "nvmlDeviceGetEncoderStats" in (tmp_path / "unanswered").read_text()


def test_memory_is_told_in_both_forms(nvml: Any) -> None:
    if nvml is None:
        return
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    older = nvml.nvmlDeviceGetMemoryInfo(card)
    newer = nvml.nvmlDeviceGetMemoryInfo(card, version=nvml.nvmlMemory_v2)
    mib = 1024 * 1024
    assert (newer.total, newer.used) == (24576 * mib, 17_000 * mib)
    assert older.used == newer.used + newer.reserved
    assert newer.free == newer.total - newer.reserved - newer.used


def test_clocks_are_locked_within_what_the_card_can_for_root_until_a_reboot(
    nvml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if nvml is None:
        return
    text = (tmp_path / "cards").read_text()
    (tmp_path / "cards").write_text(text.replace("utilization 0", "utilization 90"))
    nvml.nvmlInit()
    card, other = (nvml.nvmlDeviceGetHandleByIndex(index) for index in (0, 1))
    graphics, memory = nvml.NVML_CLOCK_GRAPHICS, nvml.NVML_CLOCK_MEM
    memories = nvml.nvmlDeviceGetSupportedMemoryClocks(card)
    clocks = nvml.nvmlDeviceGetSupportedGraphicsClocks(card, memories[0])
    assert (memories[0], max(clocks), min(clocks)) == (9751, 2100, 210)
    free = nvml.nvmlDeviceGetClockInfo(card, graphics)
    nvml.nvmlDeviceSetGpuLockedClocks(card, 210, 1400)
    nvml.nvmlDeviceSetMemoryLockedClocks(card, 405, 5001)
    assert [nvml.nvmlDeviceGetClockInfo(card, kind) for kind in (graphics, memory)] == [1400, 5001]
    assert nvml.nvmlDeviceGetClockInfo(other, graphics) == free > 1400
    for wrong in ((1400, 210), (0, 1400), (210, 2101)):
        said = refused(nvml, nvml.nvmlDeviceSetGpuLockedClocks, card, *wrong)
        assert said == nvml.NVML_ERROR_INVALID_ARGUMENT
    monkeypatch.setenv("SIMULATED_NVML_UID", "1000")
    for question, arguments in (
        (nvml.nvmlDeviceSetGpuLockedClocks, (210, 1500)),
        (nvml.nvmlDeviceResetGpuLockedClocks, ()),
    ):
        assert refused(nvml, question, card, *arguments) == nvml.NVML_ERROR_NO_PERMISSION
    monkeypatch.setenv("SIMULATED_NVML_UID", "0")
    nvml.nvmlDeviceResetMemoryLockedClocks(card)
    assert [nvml.nvmlDeviceGetClockInfo(card, kind) for kind in (graphics, memory)] == [1400, 9501]
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    assert nvml.nvmlDeviceGetClockInfo(card, graphics) == free
