"""The checks of the gpu_tuning role, on what was said on a good host and on wrong ones."""

import inspect
from collections.abc import Callable, Mapping

import pytest

from labctl.edges.checks import NotRunHere
from roles.gpu_tuning import checks
from roles.gpu_tuning.boot_lines import PROGRAM
from roles.gpu_tuning.host_clocks import BOOT, DONE, READINGS, RECORDS, TUNING, host_clocks
from roles.gpu_tuning.settings import GpuTuningSettings
from tests.roles.gpu_power_host import UUIDS
from tests.roles.recorded_host import Answer, recorded_host

SETTINGS = GpuTuningSettings.model_validate(
    {"graphics_mhz": {"rtx-3090": [210, 1400]}, "memory_mhz": {UUIDS[1]: [405, 5001]}}
)
NONE = GpuTuningSettings()
_CARD = "{}, 00000000:10:00.0, 24576, {}, 405, 2100, 9751, NVIDIA GeForce RTX 3090\n"
_SUPPORTED = "".join(f"supported {uuid} 210 2100 405 9751\n" for uuid in UUIDS[:2])
_BOTH = _CARD.format(UUIDS[0], 210) + _CARD.format(UUIDS[1], 1395)
_DONE = f"{UUIDS[0]}:graphics 210,1400\n{UUIDS[1]}:graphics 210,1400\n{UUIDS[1]}:memory 405,5001\n"
_START = f"ExecStart={{{{ path={PROGRAM} ; argv[]={PROGRAM} {{}} 210,1400 {{}} ; ignore_errors=yes }}}}\n"
_STARTS = _START.format(UUIDS[0], "-") + _START.format(UUIDS[1], "405,5001")
_LINES = host_clocks(SETTINGS.wanted, {READINGS: _BOTH + _SUPPORTED, BOOT: "", DONE: ""}).lines
_REACHES = " \t\x1b[4mGPU0\tGPU1\t\x1b[0m\n GPU0\tX\t{0}\t\n GPU1\t{0}\tX\t\n\nLegend:\n  OK   = Status Ok\n"
_JOINED = "\t\x1b[4mGPU0\tGPU1\tCPU Affinity\x1b[0m\nGPU0\t X \t{0}\t0\nGPU1\t{0}\t X \t0\n\nLegend:\n"
GOOD: dict[str, Answer] = {
    f"cat {TUNING.path}": TUNING.text(_LINES),
    f"cd {RECORDS}": _DONE,
    "nvidia-smi --query-gpu": _BOTH + _SUPPORTED,
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": "active\n",
    "systemctl show -p ExecStart": _STARTS,
    "systemctl show -p After": "basic.target nvidia-persistenced.service -.mount\n",
    "grep -c": "1\n",
    "/sys/bus/pci/devices": "",
    "topo -p2p r": _REACHES.format("OK"),
    "topo -m": _JOINED.format("NV4"),
}
BARE: dict[str, Answer] = {
    f"cat {TUNING.path}": (1, "", "No such file"),
    f"cd {RECORDS}": (1, "", ""),
    "nvidia-smi --query-gpu": "nvidia-smi: not found\nnvidia-smi: not found\n",
    "systemctl is-enabled": (4, "not-found\n", ""),
    "topo": (127, "", "nvidia-smi: not found"),
    "topo -p2p r": (127, "", "nvidia-smi: not found"),
    "topo -m": (127, "", "nvidia-smi: not found"),
}
CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]


def run(
    check: Callable[..., None], answers: Mapping[str, Answer], settings: GpuTuningSettings = SETTINGS
) -> None:
    host = recorded_host({**GOOD, **answers})
    fixtures = {"host": host, "settings": settings, "found": inspect.unwrap(checks.found)(host, settings)}
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None]) -> None:
    run(check, {})


@pytest.mark.parametrize(
    ("check", "answers", "message"),
    [
        (
            checks.test_locks,
            {"nvidia-smi --query-gpu": _BOTH.replace("1395", "1695") + _SUPPORTED},
            f"{UUIDS[1]} runs its graphics clock at 1695 MHz, locked to at most 1400$",
        ),
        (
            checks.test_locks,
            {f"cd {RECORDS}": _DONE.replace("405,5001", "405,9501")},
            f"{UUIDS[1]} has its memory clock set to 405,9501 MHz since boot, not 405,5001",
        ),
        (
            checks.test_locks,
            {f"cd {RECORDS}": (1, "", "")},
            f"{UUIDS[0]} has its graphics clock set to - MHz since boot, not 210,1400; ",
        ),
        (checks.test_locks, {**BARE, "/sys/bus/pci/devices": "0000:10:00.0\n"}, "the bus has 0000:10:00.0"),
        (
            checks.test_cards_answer,
            {"nvidia-smi --query-gpu": _CARD.format(UUIDS[1], 210) + _SUPPORTED},
            f"^rtx-3090 {UUIDS[0]} does not answer",
        ),
        (checks.test_boot_unit, {"systemctl is-enabled": (1, "disabled\n", "")}, "is disabled and active"),
        (
            checks.test_boot_unit,
            {"systemctl show -p ExecStart": _STARTS.replace("405,5001", "-")},
            f"does not lock rtx-3090 {UUIDS[1]} 210,1400 405,5001",
        ),
        (checks.test_boot_unit, {"systemctl show -p After": "basic.target\n"}, "does not wait for"),
        (
            checks.test_set_again,
            {"systemctl is-enabled": (1, "disabled\n", "")},
            "resume.service is disabled",
        ),
        (checks.test_set_again, {"grep -c": (2, "", "no such file")}, "does not start labctl-gpu-tuning"),
        (
            checks.test_peer_to_peer,
            {"topo -p2p r": _REACHES.format("CNS")},
            r"out of reach: GPU0-GPU1 CNS \(the chipset does not support it\)",
        ),
    ],
)
def test_a_wrong_host_fails(check: Callable[..., None], answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


def test_cards_without_a_bridge_are_nobodys_fault() -> None:
    answers: dict[str, Answer] = {"topo -p2p r": _REACHES.format("GNS"), "topo -m": _JOINED.format("PHB")}
    with pytest.raises(NotRunHere, match=r"no NVLink; over PCIe: GPU0-GPU1 GNS \(the card does not"):
        run(checks.test_peer_to_peer, answers)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("settings", [NONE, SETTINGS])
def test_a_host_without_cards_is_not_to_blame(
    check: Callable[..., None], settings: GpuTuningSettings
) -> None:
    if check is checks.test_boot_unit or (check is checks.test_cards_answer and settings.wanted):
        run(check, BARE, settings)
        return
    with pytest.raises(NotRunHere):
        run(check, BARE, settings)


def test_a_unit_that_nobody_asked_for_is_seen() -> None:
    with pytest.raises(AssertionError, match="is enabled, and gpu_tuning asks for no clock"):
        run(checks.test_boot_unit, {}, NONE)
