"""What the checks of every unit that sets something of cards at boot have in common."""

from __future__ import annotations

from collections.abc import Sequence

from labctl.edges.checks import Host, not_run_here, output_of
from labctl.power import reading
from labctl.rig.reported import Lost
from roles.gpu_power.card_unit import CardUnit

# Display and 3D controllers of NVIDIA's on the bus, whether or not a driver answers for them.
_ON_THE_BUS = (
    "cd /sys/bus/pci/devices 2>/dev/null && for card in *; do "
    '[ "$(cat $card/vendor)" = 0x10de ] && grep -q ^0x03 $card/class && echo $card; done; true'
)


def no_card_is_known(host: Host, said: str | None) -> None:
    """End the check where there is no card; fail it where the bus has one. said: by nvidia-smi, instead of cards."""
    on_bus = output_of(host, _ON_THE_BUS).split()
    if not on_bus:
        not_run_here("no NVIDIA card")
    raise AssertionError(f"nvidia-smi shows no card, and the bus has {', '.join(on_bus)}: {said}")


def cards_answer(missing: Sequence[str], lost: Sequence[Lost], said: str | None) -> None:
    """Fail where cards are missing, with what is known of why."""
    assert not missing, reading.unanswered(missing, lost, said)


def unit_holds(host: Host, unit: CardUnit, commands: Sequence[tuple[str, str]], why_none: str) -> None:
    """The unit is there, has run, and runs these and no others; without any it is not there.

    commands: each as systemd shows it, and what it does, for people.
    """
    state = host.run("systemctl is-enabled %s", unit.name).stdout.strip() or "not-found"
    if not commands:
        assert state == "not-found", f"{unit.name} is {state}, and {why_none}"
        return
    active = host.run("systemctl is-active %s", unit.name).stdout.strip()
    assert (state, active) == ("enabled", "active"), (
        f"{unit.name} is {state} and {active}, not enabled and active"
    )
    starts = output_of(host, "systemctl show -p ExecStart %s", unit.name).splitlines()
    for command, does in commands:
        wanted = f"argv[]={command} ; ignore_errors=yes"
        assert any(wanted in start for start in starts), f"{unit.name} does not {does}"
    assert len(starts) == len(commands), (
        f"{unit.name} sets something of {len(starts)} cards, not of {len(commands)}"
    )
    after = output_of(host, "systemctl show -p After --value %s", unit.name).split()
    assert "nvidia-persistenced.service" in after, f"{unit.name} does not wait for nvidia-persistenced"


def set_again(host: Host, unit: CardUnit) -> None:
    """Sleep and a new driver start the unit again."""
    state = host.run("systemctl is-enabled %s", unit.resume_name).stdout.strip() or "not there"
    assert state == "enabled", f"{unit.resume_name} is {state}, not enabled"
    rule = host.run("grep -c %s %s", f"try-restart {unit.name}", unit.rules_path).stdout.strip()
    assert rule == "1", f"{unit.rules_path} does not start {unit.name} again"
