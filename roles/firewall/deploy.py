"""The firewall: one table of our own, closed but for SSH and what the inventory exposes."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.errors import Failed
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit
from roles.firewall.ruleset import RULES, Ruleset
from roles.firewall.settings import FirewallSettings

UNIT = "labctl-firewall.service"


@role("firewall", FirewallSettings)
def firewall(settings: FirewallSettings, facts: HostFacts) -> Iterator[Resource]:
    """The unit is enabled last: boot loads rules only after a connection has proven that they let SSH in."""
    if not settings.manage:
        return
    _refuse_second_firewall(facts)
    unit_file = File(f"/etc/systemd/system/{UNIT}", render(__file__, UNIT, rules=RULES))
    yield Packages("packages", ("nftables",))
    yield Files("boot unit file", (unit_file,))
    yield Ruleset("rules", _rules(settings, facts), settings.undo_seconds)
    yield Unit("boot unit", UNIT, reads=(unit_file,))


def _rules(settings: FirewallSettings, facts: HostFacts) -> str:
    ssh_ports = settings.ssh_ports or tuple(sorted({22, *facts.ssh_ports}))
    return render(
        __file__,
        "firewall.nft",
        ssh_ports=ssh_ports,
        ssh_sources=settings.ssh_sources,
        exposed=settings.exposed,
    )


def _refuse_second_firewall(facts: HostFacts) -> None:
    for rival in ("ufw", "firewalld"):
        if rival in facts.running:
            raise Failed(
                f"{rival} is running: two firewalls undo each other's rules",
                found=f"{rival}.service active",
                expected="one firewall",
                hint=f"systemctl disable --now {rival} — or keep it: firewall = {{'manage': False}} in the inventory",
            )
