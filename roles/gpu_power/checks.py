"""Is every card limited as the inventory says: now, by nvidia-smi's own account, and when the machine boots again?"""

from __future__ import annotations

import pytest

from labctl.doctor.cards import CARD_GONE, CARD_MISSING, DRIVER_DOWN, NOT_ON_THE_BUS
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, not_run_here
from labctl.errors import BadInput
from roles.gpu_power.checked_unit import cards_answer, no_card_is_known, set_again, unit_holds
from roles.gpu_power.host_limits import POWER, HostLimits, host_limits, snippets
from roles.gpu_power.settings import GpuPowerSettings
from roles.nvidia_driver.one_card import PROGRAM

_UNFIT_LIMIT = Explanation(
    "What the inventory asks of gpu_power does not fit the cards that are there.",
    "`labctl power` shows what each card can do; correct gpu_power in the inventory.",
    says="no card here|takes no such limit|the budget|cannot be set",
)
_UNWANTED = "gpu_power asks for no limit"


@pytest.fixture(scope="module")
def found(host: Host, settings: GpuPowerSettings) -> HostLimits:
    """What the limits of this host should be, and what its cards say."""
    texts = {key: host.run(script).stdout for key, script in snippets(settings.wanted)}
    try:
        return host_limits(settings.wanted, texts)
    except BadInput as refused:
        raise AssertionError(str(refused)) from refused


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    _UNFIT_LIMIT,
    Explanation(
        "A card has another power limit than asked for: somebody set it by hand, or the driver was "
        "loaded anew.",
        "`labctl deploy --only gpu_power` sets it again.",
    ),
)
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


@explained(
    *DRIVER_DOWN,
    _UNFIT_LIMIT,
    *CARD_MISSING,
    NOT_ON_THE_BUS,
)
def test_cards_answer(found: HostLimits, settings: GpuPowerSettings) -> None:
    """each card that is to be limited answers"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    missing = [f"{line.card.model} {line.card.id}" for line in found.missing]
    cards_answer(missing, found.readings.lost, found.readings.said)


@explained(
    *DRIVER_DOWN,
    _UNFIT_LIMIT,
    Explanation(
        "The unit that sets the limits at boot is switched off, or sets others than the inventory asks for.",
        "`labctl deploy --only gpu_power` writes it anew.",
    ),
)
def test_boot_unit(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits that boot sets are those asked for"""
    commands = [
        (
            f"{PROGRAM} -i {line.card.id} -pl {line.watts}",
            f"set {line.card.model} {line.card.id} to {line.watts} W",
        )
        for line in found.lines
    ]
    unit_holds(host, POWER, commands, "no card is known" if settings.wanted else _UNWANTED)


@explained(
    *DRIVER_DOWN,
    _UNFIT_LIMIT,
    Explanation(
        "What sets the limits again after sleep, or when the driver is loaded anew, is missing or "
        "switched off.",
        "`labctl deploy --only gpu_power` brings it back.",
    ),
)
def test_set_again(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits are set again after sleep and after a driver that was loaded anew"""
    if not found.lines:
        not_run_here(_UNWANTED if not settings.wanted else "no NVIDIA card")
    set_again(host, POWER)
