"""Is every card limited as the inventory says: now, by nvidia-smi's own account, and when the machine boots again?"""

from __future__ import annotations

import pytest

from labctl.edges.checks import Host, not_run_here, output_of
from labctl.errors import BadInput
from roles.gpu_power.boot_lines import NVIDIA_SMI
from roles.gpu_power.boot_unit import RESUME_UNIT, RULES_FILE
from roles.gpu_power.host_limits import UNIT, HostLimits, host_limits, snippets
from roles.gpu_power.settings import GpuPowerSettings

_UNWANTED = "gpu_power asks for no limit"
# Display and 3D controllers of NVIDIA's on the bus, whether or not a driver answers for them.
_ON_THE_BUS = (
    "cd /sys/bus/pci/devices 2>/dev/null && for card in *; do "
    '[ "$(cat $card/vendor)" = 0x10de ] && grep -q ^0x03 $card/class && echo $card; done; true'
)


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
        on_bus = output_of(host, _ON_THE_BUS).split()
        if not on_bus:
            not_run_here("no NVIDIA card")
        raise AssertionError(
            f"nvidia-smi shows no card, and the bus has {', '.join(on_bus)}: {found.readings.said}"
        )
    wrong = [
        f"{card.name} {card.uuid} has {card.limit_watts} W, not {watts} W" for card, watts in found.deviating
    ]
    assert not wrong, "; ".join(wrong)


def test_cards_answer(found: HostLimits, settings: GpuPowerSettings) -> None:
    """each card that is to be limited answers"""
    if not settings.wanted:
        not_run_here(_UNWANTED)
    assert not found.missing, found.unanswered


def test_boot_unit(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits that boot sets are those asked for"""
    state = host.run("systemctl is-enabled %s", UNIT).stdout.strip() or "not-found"
    if not found.lines:
        assert state == "not-found", (
            f"{UNIT} is {state}, and {_UNWANTED if not settings.wanted else 'no card is known'}"
        )
        return
    active = host.run("systemctl is-active %s", UNIT).stdout.strip()
    assert (state, active) == ("enabled", "active"), f"{UNIT} is {state} and {active}, not enabled and active"
    starts = output_of(host, "systemctl show -p ExecStart %s", UNIT).splitlines()
    for line in found.lines:
        wanted = f"argv[]={NVIDIA_SMI} -i {line.card.id} -pl {line.watts} ; ignore_errors=yes"
        assert any(wanted in start for start in starts), (
            f"{UNIT} does not set {line.card.model} {line.card.id} to {line.watts} W"
        )
    assert len(starts) == len(found.lines), f"{UNIT} sets {len(starts)} limits, not {len(found.lines)}"
    after = output_of(host, "systemctl show -p After --value %s", UNIT).split()
    assert "nvidia-persistenced.service" in after, f"{UNIT} does not wait for nvidia-persistenced"


def test_set_again(host: Host, found: HostLimits, settings: GpuPowerSettings) -> None:
    """the limits are set again after sleep and after a driver that was loaded anew"""
    if not found.lines:
        not_run_here(_UNWANTED if not settings.wanted else "no NVIDIA card")
    state = host.run("systemctl is-enabled %s", RESUME_UNIT).stdout.strip() or "not there"
    assert state == "enabled", f"{RESUME_UNIT} is {state}, not enabled"
    rule = host.run("grep -c %s %s", f"try-restart {UNIT}", RULES_FILE).stdout.strip()
    assert rule == "1", f"{RULES_FILE} does not start {UNIT} again"
