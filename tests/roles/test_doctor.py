"""What a person is told when a check of a card's fails: by what the check found, the host, and its kernel's words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from labctl.doctor import clues
from labctl.doctor.clues import Asked, Clues, Xid
from labctl.doctor.explanation import Explained, explain, explanations_of
from labctl.driver import report
from labctl.driver.host import DriverHost, Kernel, Package, SecureBoot
from roles.container_toolkit import checks as toolkit
from roles.gpu_power import checks as power
from roles.nvidia_driver import checks as driver
from roles.nvidia_driver.settings import NvidiaDriverSettings
from roles.nvidia_persistence import checks as persistence
from roles.podman import checks as podman
from tests.roles.gpu_host import EVERYTHING_WRONG, TWO_3090
from tests.roles.recorded_host import Answer
from tests.roles.test_gpu_checks import run

Check = Callable[..., None]
# Two RTX 3090 at 0000:01:00.0 and 0000:02:00.0, and a driver that apt installed.
_SLOTS = [card.slot for card in report.parse(TWO_3090.driver_report).cards]
WELL = replace(
    report.parse(TWO_3090.driver_report),
    packages=(Package("nvidia-kernel-dkms", "550.163.01-2"),),
    next_boot=Kernel("6.12.107+deb13-amd64", "installed", "550.163.01", "proprietary"),
    nouveau=False,
)
NOT_LOADED = "no NVIDIA driver is loaded, 550.163.01 proprietary is installed: reboot the host"
NO_ANSWER = (
    "`nvidia-smi -L` failed with exit status 9: NVIDIA-SMI has failed because it couldn't communicate with the"
    " NVIDIA driver."
)
LOST = "`nvidia-smi -L` failed with exit status 15: Unable to determine the device handle for gpu 1: GPU is lost."


def told(check: Check, message: str, host: DriverHost | None = WELL, asked: Asked | None = None) -> Explained:
    found = explain(explanations_of(check), Clues(message, host, asked or Asked()))
    assert found
    return found


def of_recorded(check: Check, answers: dict[str, Answer], **about: Any) -> Explained:
    """For a check that fails on a host that answers so."""
    with pytest.raises(AssertionError) as failure:
        run(check, answers, **about)
    return told(check, str(failure.value))


@pytest.mark.parametrize(
    ("changed", "cause", "fix"),
    [
        (
            {"secure_boot": SecureBoot(enabled=True, key="/var/lib/dkms/mok.pub")},
            "Secure Boot is on",
            "mokutil --import",
        ),
        ({"nouveau": True}, "nouveau, has taken the card", "`labctl deploy`"),
        ({"packages": (), "run_installer": True}, ".run installer", "nvidia-uninstall"),
        (
            {"next_boot": Kernel("6.12.120+deb13-amd64", "missing")},
            "No headers for 6.12.120+deb13-amd64",
            "full-upgrade",
        ),
        (
            {"next_boot": Kernel("6.12.120+deb13-amd64", "installed")},
            "not built for 6.12.120",
            "`labctl deploy`",
        ),
        (
            {"packages": (Package("nvidia-kernel-dkms", "1", "half-configured"),)},
            "did not finish: nvidia-kernel-dkms",
            "dpkg --configure -a",
        ),
        ({}, "installed and not loaded", "`sudo reboot`"),
    ],
)
@pytest.mark.parametrize(
    ("check", "message"), [(driver.test_loaded_module, NOT_LOADED), (persistence.test_mode, NO_ANSWER)]
)
def test_why_no_driver_answers(
    check: Check, message: str, changed: dict[str, Any], cause: str, fix: str
) -> None:
    found = told(check, message, replace(WELL, **changed))
    assert cause in found.cause
    assert fix in found.fix


def test_another_version_that_runs_is_no_driver_that_does_not_load() -> None:
    message = "550.144 proprietary is loaded, 550.163.01 proprietary is installed: reboot the host"
    found = told(driver.test_loaded_module, message, replace(WELL, nouveau=True))
    assert "updated since it was loaded" in found.cause
    mismatch = "`nvidia-smi -L` failed with exit status 18: Failed to initialize NVML: Driver/library version mismatch"
    assert "updated under the one that is loaded" in told(toolkit.test_devices, mismatch).cause


def test_a_refusal_of_the_preflight_keeps_its_way_out() -> None:
    found = of_recorded(
        driver.test_loaded_module, {}, facts=EVERYTHING_WRONG, settings=NvidiaDriverSettings()
    )
    assert "no driver for this host" not in found.cause
    assert found.cause.endswith(".")
    assert "Remove that source" in found.fix


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (persistence.test_mode, "nvidia-smi shows no card"),
        (toolkit.test_container, LOST),
        (toolkit.test_devices, "nvidia-smi lists no card"),
        (power.test_limits, "nvidia-smi shows no card, and the bus has 0000:02:00.0: No devices were found"),
        (power.test_cards_answer, "rtx-3090 GPU-1 does not answer (nvidia-smi does not list it)"),
    ],
)
@pytest.mark.parametrize(
    ("xids", "cause", "fix"),
    [
        ((Xid(_SLOTS[1][:-2], 79),), "fell off the bus", "power cables"),
        ((Xid(_SLOTS[1][:-2], 48),), "memory", "replace it"),
        ((Xid(_SLOTS[1][:-2], 119),), "stopped answering its driver (Xid 119)", "sudo reboot"),
        ((Xid(_SLOTS[1][:-2], 31),), "does not answer for it (Xid 31)", "sudo dmesg | grep"),
        (
            (Xid(_SLOTS[0][:-2], 79),),
            f"{_SLOTS[1]} is on the PCI bus, and the driver does not answer for it.",
            "seat",
        ),
    ],
)
def test_why_a_card_is_gone(check: Check, message: str, xids: tuple[Xid, ...], cause: str, fix: str) -> None:
    found = told(check, message, WELL, Asked(frozenset({_SLOTS[0]}), xids))
    assert cause in found.cause
    assert fix in found.fix


def test_a_card_that_is_not_on_the_bus_has_no_power_or_seat() -> None:
    alone = replace(WELL, cards=WELL.cards[:1])
    message = "rtx-3090 GPU-1 does not answer (nvidia-smi does not list it)"
    found = told(power.test_cards_answer, message, alone, Asked(frozenset({_SLOTS[0]})))
    assert "does not see the card" in found.cause
    assert "lspci" in found.fix


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("a container given GPU-a sees GPU-a and GPU-b", "more cards than it asked for"),
        ("a container given GPU-a sees GPU-b", "not the one it asked for"),
        (
            "after `systemctl daemon-reload` a container given GPU-a sees no card: Unknown Error",
            "loses its card",
        ),
        (
            "no container can be given GPU-a: Error: unresolvable CDI devices nvidia.com/gpu=GPU-a",
            "finds no such card",
        ),
    ],
)
def test_what_a_container_sees_is_explained(message: str, cause: str) -> None:
    assert cause in told(toolkit.test_container, message).cause


def test_a_host_without_cards_is_explained_as_well() -> None:
    found = told(podman.test_pruning, "the last run of labctl-prune-images.service ended with timeout", None)
    assert "journalctl -u labctl-prune-images" in found.fix


def test_a_limit_that_the_card_cannot_have_is_the_inventorys() -> None:
    message = "inventory: gpu_power.limits: rtx-3090: RTX 3090 takes no such limit (found 90 W, expected 100 to 350 W)"
    assert "does not fit the cards" in told(power.test_limits, message).cause
    assert "set it by hand" in told(power.test_limits, "RTX 3090 GPU-1 has 350.0 W, not 280 W").cause


def test_the_host_is_asked_for_what_the_clues_are_read_from() -> None:
    assert all(f"section {part}" in clues.SCRIPT for part in ("cards", "kernel", "end"))
    assert "-q -o cat" in clues.SCRIPT
