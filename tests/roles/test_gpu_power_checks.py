"""The checks of the gpu_power role, on what was said on a good host and on wrong ones."""

import inspect
from collections.abc import Callable, Mapping

import pytest

from labctl.edges.checks import NotRunHere
from roles.gpu_power import checks
from roles.gpu_power.host_limits import POWER, host_limits, snippets
from roles.gpu_power.settings import GpuPowerSettings
from tests.roles.gpu_power_host import UUIDS
from tests.roles.recorded_host import Answer, recorded_host

SETTINGS = GpuPowerSettings(limits={"rtx-3090": 280})
NONE = GpuPowerSettings()
_CARD = "{}, 00000000:10:00.0, 24576, {}, 350.00, 100.00, 375.00, Enabled, NVIDIA GeForce RTX 3090\n"
_BOTH = _CARD.format(UUIDS[0], "280.00") + _CARD.format(UUIDS[1], "280.00")
_START = (
    "ExecStart={{ path=/usr/local/lib/labctl/nvidia-smi ; "
    "argv[]=/usr/local/lib/labctl/nvidia-smi -i {} -pl {} ; ignore_errors=yes }}\n"
)
_STARTS = _START.format(UUIDS[0], 280) + _START.format(UUIDS[1], 280)
_LINES = host_limits(SETTINGS.wanted, {"gpu power": _BOTH, "gpu power at boot": ""}).lines
_UNIT_TEXT = POWER.text(_LINES)
GOOD: dict[str, Answer] = {
    f"cat {POWER.path}": _UNIT_TEXT,
    "nvidia-smi --query-gpu": _BOTH,
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": "active\n",
    "systemctl show -p ExecStart": _STARTS,
    "systemctl show -p After": "basic.target nvidia-persistenced.service -.mount\n",
    "grep -c": "1\n",
    "/sys/bus/pci/devices": "",
}
BARE: dict[str, Answer] = {
    f"cat {POWER.path}": (1, "", "No such file"),
    "nvidia-smi --query-gpu": "nvidia-smi: not found\n",
    "systemctl is-enabled": (4, "not-found\n", ""),
}
CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]
_LOST = "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost.  Reboot the system\n"


def run(
    check: Callable[..., None], answers: Mapping[str, Answer], settings: GpuPowerSettings = SETTINGS
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
            checks.test_limits,
            {"nvidia-smi --query-gpu": _CARD.format(UUIDS[0], "350.00") + _CARD.format(UUIDS[1], "280.00")},
            rf"NVIDIA GeForce RTX 3090 {UUIDS[0]} has 350.0 W, not 280 W$",
        ),
        (
            checks.test_limits,
            {"nvidia-smi --query-gpu": _BOTH.replace("280.00", "[Unknown Error]")},
            "has None W, not 280 W; .* has None W",
        ),
        (
            checks.test_limits,
            {**BARE, "nvidia-smi --query-gpu": "Failed to initialize NVML: Driver/library version mismatch\n",
             "/sys/bus/pci/devices": "0000:10:00.0\n"},
            "shows no card, and the bus has 0000:10:00.0: Failed to initialize NVML",
        ),
        (checks.test_limits, {**BARE, "/sys/bus/pci/devices": "0000:10:00.0\n"}, "nvidia-smi: not found"),
        (
            checks.test_cards_answer,
            {"nvidia-smi --query-gpu": _CARD.format(UUIDS[1], "280.00")},
            rf"^rtx-3090 {UUIDS[0]} does not answer \(nvidia-smi does not list it\)",
        ),
        (
            checks.test_cards_answer,
            {"nvidia-smi --query-gpu": _LOST + _CARD.format(UUIDS[1], "280.00")},
            r"does not answer \(00000000:10:00.0: GPU is lost",
        ),
        (
            checks.test_cards_answer,
            {"nvidia-smi --query-gpu": "Failed to initialize NVML: Driver/library version mismatch\n"},
            f"{UUIDS[0]}, rtx-3090 {UUIDS[1]} do not answer .*mismatch",
        ),
        (checks.test_boot_unit, {"systemctl is-enabled": (1, "disabled\n", "")}, "is disabled and active"),
        (checks.test_boot_unit, {"systemctl is-active": (3, "failed\n", "")}, "is enabled and failed"),
        (
            checks.test_boot_unit,
            {"systemctl show -p ExecStart": _START.format(UUIDS[0], 280) + _START.format(UUIDS[1], 300)},
            f"does not set rtx-3090 {UUIDS[1]} to 280 W",
        ),
        (
            checks.test_boot_unit,
            {"systemctl show -p ExecStart": _STARTS + _START.format("GPU-3", 1)},
            "sets something of 3 cards, not of 2",
        ),
        (
            checks.test_boot_unit,
            {"systemctl show -p ExecStart": _STARTS.replace("=yes", "=no")},
            "does not set",
        ),
        (checks.test_boot_unit, {"systemctl show -p After": "basic.target\n"}, "does not wait for"),
        (checks.test_set_again, {"systemctl is-enabled": (1, "disabled\n", "")}, "resume.service is disabled"),
        (checks.test_set_again, {"grep -c": (2, "", "no such file")}, "does not start labctl-gpu-power.service"),
    ],
)  # fmt: skip
def test_a_wrong_host_fails(check: Callable[..., None], answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("settings", [NONE, SETTINGS])
def test_a_host_without_cards_is_not_to_blame(check: Callable[..., None], settings: GpuPowerSettings) -> None:
    if check is checks.test_boot_unit or (check is checks.test_cards_answer and settings.wanted):
        run(check, BARE, settings)
        return
    with pytest.raises(NotRunHere):
        run(check, BARE, settings)


def test_a_unit_that_nobody_asked_for_is_seen() -> None:
    with pytest.raises(AssertionError, match="is enabled, and gpu_power asks for no limit"):
        run(checks.test_boot_unit, {}, NONE)


def test_what_the_cards_cannot_do_is_a_failed_check() -> None:
    with pytest.raises(AssertionError, match="expected 100 to 375 W"):
        run(checks.test_limits, {}, GpuPowerSettings(limits={"rtx-3090": 90}))


def test_the_checks_ask_what_the_deploy_asks() -> None:
    assert [key for key, _ in snippets(SETTINGS.wanted)] == ["gpu power at boot", "gpu power"]


def test_every_check_was_seen_failing() -> None:
    (mark,) = (mark for mark in test_a_wrong_host_fails.pytestmark if mark.name == "parametrize")
    assert {case[0] for case in mark.args[1]} == set(CHECKS)
