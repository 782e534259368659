"""Are the cards' clocks locked as the inventory says, as far as that can be known, and will they be after a boot?"""

from __future__ import annotations

import pytest

from labctl.edges.checks import Host, not_run_here
from labctl.errors import BadInput
from roles.gpu_power.checked_unit import cards_answer, no_card_is_known, set_again, unit_holds
from roles.gpu_tuning.boot_lines import PROGRAM
from roles.gpu_tuning.host_clocks import TUNING, HostClocks, host_clocks, snippets
from roles.gpu_tuning.peer_to_peer import JOINED, REACHES, pairs
from roles.gpu_tuning.settings import GpuTuningSettings

_UNWANTED = "gpu_tuning asks for no clock"


@pytest.fixture(scope="module")
def found(host: Host, settings: GpuTuningSettings) -> HostClocks:
    """What the clocks of this host should be locked to, and what its cards say."""
    texts = {key: host.run(script).stdout for key, script in snippets(settings.wanted)}
    try:
        return host_clocks(settings.wanted, texts)
    except BadInput as refused:
        raise AssertionError(str(refused)) from refused


def test_locks(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """each card was locked since boot as asked, and runs at no clock above"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    if not found.lines:
        no_card_is_known(host, found.readings.said)
    wrong = [f"{each.card.name} {each.card.uuid} {each.how}" for each in found.deviating]
    assert not wrong, "; ".join(wrong)


def test_cards_answer(found: HostClocks, settings: GpuTuningSettings) -> None:
    """each card that is to be locked answers"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    missing = [f"{line.card.model} {line.card.id}" for line in found.missing]
    cards_answer(missing, found.readings.lost, found.readings.said)


def test_boot_unit(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """the clocks that boot locks are those asked for"""
    commands = [
        (f"{PROGRAM} {line.arguments}", f"lock {line.card.model} {line.arguments}") for line in found.lines
    ]
    unit_holds(host, TUNING, commands, "no card is known" if settings.wanted else _UNWANTED)


def test_set_again(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """clocks are locked again after sleep and after a driver that was loaded anew"""
    if not found.lines:
        not_run_here(_UNWANTED if not settings.wanted else "no NVIDIA card")
    set_again(host, TUNING)


def test_peer_to_peer(host: Host, settings: GpuTuningSettings) -> None:
    """cards that NVLink joins reach each other's memory"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    known = pairs(host.run(REACHES).stdout, host.run(JOINED).stdout)
    joined = [pair for pair in known if pair.nvlink]
    if not joined:
        others = "; ".join(map(str, known[:3]))
        not_run_here(f"no NVLink{f'; over PCIe: {others}' if others else ''}")
    apart = [str(pair) for pair in joined if pair.word != "OK"]
    assert not apart, f"joined by NVLink and out of reach: {', '.join(apart)}"
