"""Do the cards stay awake, by their own word?"""

from __future__ import annotations

from labctl.doctor.cards import CARD_GONE, DRIVER_DOWN
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, output_of
from roles.nvidia_driver.answering import of_each
from roles.nvidia_driver.checked_here import answering_cards, leave_out_without_driver
from roles.nvidia_persistence.deploy import UNIT
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    Explanation(
        "Persistence mode was switched off, and the card forgets its power limit whenever nothing uses it.",
        "`labctl deploy --only nvidia_persistence` switches it on.",
    ),
)
def test_mode(host: Host, settings: NvidiaPersistenceSettings, facts: HostFacts) -> None:
    """every card has persistence mode"""
    leave_out_without_driver(host, facts, "nvidia_persistence", managed=settings.manage)
    said = output_of(host, "sh -c %s", of_each("uuid,persistence_mode"))
    modes = dict(line.split(", ", 1) for line in said.splitlines() if ", " in line)
    if not modes:
        answering_cards(host)
    assert modes, "nvidia-smi shows no card"
    off = [uuid for uuid, mode in modes.items() if mode != "Enabled"]
    assert not off, f"persistence mode is off: {', '.join(off)}"


@explained(
    *DRIVER_DOWN,
    Explanation(
        "The next boot would not start the daemon that keeps the cards awake.",
        "`labctl deploy --only nvidia_persistence` switches it on.",
        says="boot does not ask",
    ),
    Explanation(
        "The daemon that keeps the cards awake does not run.",
        "`labctl deploy --only nvidia_persistence` starts it; `journalctl -b -u nvidia-persistenced` "
        "says why it stopped.",
    ),
)
def test_daemon(host: Host, settings: NvidiaPersistenceSettings, facts: HostFacts) -> None:
    """the daemon that keeps it runs, and boot asks for it"""
    leave_out_without_driver(host, facts, "nvidia_persistence", managed=settings.manage)
    active = host.run("systemctl is-active %s", UNIT).stdout.strip()
    assert active == "active", f"{UNIT} is {active or 'not there'}"
    wants = output_of(host, "systemctl show -p Wants --value multi-user.target").split()
    assert UNIT in wants, f"boot does not ask for {UNIT}"
