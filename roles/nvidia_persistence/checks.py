"""Do the cards stay awake, by their own word?"""

from __future__ import annotations

from labctl.edges.checks import Host, HostFacts, output_of
from roles.nvidia_driver.answering import of_each
from roles.nvidia_driver.checked_here import leave_out_without_driver
from roles.nvidia_persistence.deploy import UNIT
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings


def test_mode(host: Host, settings: NvidiaPersistenceSettings, facts: HostFacts) -> None:
    """every card has persistence mode"""
    leave_out_without_driver(host, facts, "nvidia_persistence", managed=settings.manage)
    said = output_of(host, "sh -c %s", of_each("uuid,persistence_mode"))
    modes = dict(line.split(", ", 1) for line in said.splitlines() if ", " in line)
    assert modes, "nvidia-smi shows no card"
    off = [uuid for uuid, mode in modes.items() if mode != "Enabled"]
    assert not off, f"persistence mode is off: {', '.join(off)}"


def test_daemon(host: Host, settings: NvidiaPersistenceSettings, facts: HostFacts) -> None:
    """the daemon that keeps it runs, and boot asks for it"""
    leave_out_without_driver(host, facts, "nvidia_persistence", managed=settings.manage)
    active = host.run("systemctl is-active %s", UNIT).stdout.strip()
    assert active == "active", f"{UNIT} is {active or 'not there'}"
    wants = output_of(host, "systemctl show -p Wants --value multi-user.target").split()
    assert UNIT in wants, f"boot does not ask for {UNIT}"
