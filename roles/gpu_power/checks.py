"""Is every card limited as the inventory says: now, by nvidia-smi's own account, and when the machine boots again?"""

from __future__ import annotations

import pytest

from labctl.edges.checks import Host, not_run_here
from labctl.errors import BadInput
from roles.gpu_power.boot_lines import NVIDIA_SMI
from roles.gpu_power.checked_unit import cards_answer, no_card_is_known, set_again, unit_holds
from roles.gpu_power.host_limits import POWER, HostLimits, host_limits, snippets
from roles.gpu_power.settings import GpuPowerSettings

_UNWANTED = "gpu_power asks for no limit"


@pytest.fixture(scope="module")
def found(host: Host, settings: GpuPowerSettings) -> HostLimits:
    """What the limits of this host should be, and what its cards say."""
    texts = {key: host.run(script).stdout for key, script in snippets(settings.wanted)}
    try:
        return host_limits(settings.wanted, texts)
    except BadInput as refused:
        raise AssertionError(str(refused)) from refused


def test_limits(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """each card has the power limit asked for"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    if not found.lines:
        no_card_is_known(host, found.readings.said)
    wrong = [
        f"{card.name} {card.uuid} has {card.limit_watts} W, not {watts} W" for card, watts in found.deviating
    ]
    assert not wrong, "; ".join(wrong)


def test_cards_answer(found: HostLimits, settings: GpuPowerSettings) -> None:
    """each card that is to be limited answers"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    missing = [f"{line.card.model} {line.card.id}" for line in found.missing]
    cards_answer(missing, found.readings.lost, found.readings.said)


def test_boot_unit(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits that boot sets are those asked for"""
    commands = [
        (
            f"{NVIDIA_SMI} -i {line.card.id} -pl {line.watts}",
            f"set {line.card.model} {line.card.id} to {line.watts} W",
        )
        for line in found.lines
    ]
    unit_holds(host, POWER, commands, "no card is known" if settings.wanted else _UNWANTED)


def test_set_again(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits are set again after sleep and after a driver that was loaded anew"""
    if not found.lines:
        not_run_here(_UNWANTED if not settings.wanted else "no NVIDIA card")
    set_again(host, POWER)
