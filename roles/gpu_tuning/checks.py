"""Are the cards' clocks locked as the inventory says, as far as that can be known, and will they be after a boot?"""

from __future__ import annotations

import pytest

from labctl.doctor.cards import CARD_GONE, CARD_MISSING, DRIVER_DOWN, NOT_ON_THE_BUS
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, not_run_here
from labctl.errors import BadInput
from roles.gpu_power.checked_unit import cards_answer, no_card_is_known, set_again, unit_holds
from roles.gpu_tuning.boot_lines import PROGRAM
from roles.gpu_tuning.host_clocks import TUNING, HostClocks, host_clocks, snippets
from roles.gpu_tuning.peer_to_peer import JOINED, REACHES, pairs
from roles.gpu_tuning.settings import GpuTuningSettings

_UNFIT_CLOCK = Explanation(
    "What the inventory asks of gpu_tuning does not fit the cards that are there.",
    "`nvidia-smi -q -d SUPPORTED_CLOCKS` shows what each card can do; correct gpu_tuning in the inventory.",
    says="no card here|cannot be locked|cannot be set|supports",
)
_UNWANTED = "gpu_tuning asks for no clock"


@pytest.fixture(scope="module")
def found(host: Host, settings: GpuTuningSettings) -> HostClocks:
    """What the clocks of this host should be locked to, and what its cards say."""
    texts = {key: host.run(script).stdout for key, script in snippets(settings.wanted)}
    try:
        return host_clocks(settings.wanted, texts)
    except BadInput as refused:
        raise AssertionError(str(refused)) from refused


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    _UNFIT_CLOCK,
    Explanation(
        "A card's clocks are not locked as asked: somebody set them by hand, or the driver was loaded anew.",
        "`labctl deploy --only gpu_tuning` locks them again.",
    ),
)
def test_locks(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """each card was locked since boot as asked, and runs at no clock above"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    if not found.lines:
        no_card_is_known(host, found.readings.said)
    wrong = [f"{each.card.name} {each.card.uuid} {each.how}" for each in found.deviating]
    assert not wrong, "; ".join(wrong)


@explained(*DRIVER_DOWN, _UNFIT_CLOCK, *CARD_MISSING, NOT_ON_THE_BUS)
def test_cards_answer(found: HostClocks, settings: GpuTuningSettings) -> None:
    """each card that is to be locked answers"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    missing = [f"{line.card.model} {line.card.id}" for line in found.missing]
    cards_answer(missing, found.readings.lost, found.readings.said)


@explained(
    *DRIVER_DOWN,
    _UNFIT_CLOCK,
    Explanation(
        "The unit that locks the clocks at boot is switched off, or locks others than the inventory asks for.",
        "`labctl deploy --only gpu_tuning` writes it anew.",
    ),
)
def test_boot_unit(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """the clocks that boot locks are those asked for"""
    commands = [
        (f"{PROGRAM} {line.arguments}", f"lock {line.card.model} {line.arguments}") for line in found.lines
    ]
    unit_holds(host, TUNING, commands, "no card is known" if settings.wanted else _UNWANTED)


@explained(
    *DRIVER_DOWN,
    _UNFIT_CLOCK,
    Explanation(
        "What locks the clocks again after sleep, or when the driver is loaded anew, is missing or switched off.",
        "`labctl deploy --only gpu_tuning` brings it back.",
    ),
)
def test_set_again(host: Host, found: HostClocks, settings: GpuTuningSettings) -> None:
    """clocks are locked again after sleep and after a driver that was loaded anew"""
    if not found.lines:
        not_run_here(_UNWANTED if not settings.wanted else "no NVIDIA card")
    set_again(host, TUNING)


@explained(
    *DRIVER_DOWN,
    Explanation(
        "The NVLink bridge is seen, but the cards do not reach each other's memory over it.",
        "Power the machine off, press the bridge home, and boot; `nvidia-smi nvlink -s` has to show every link.",
    ),
)
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
