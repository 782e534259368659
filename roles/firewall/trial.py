"""What to knock at from where, and what should answer: by the inventory alone, not by the rules made from it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from roles.firewall.settings import FirewallSettings, Network

# Source address, protocol, port.
Try = tuple[str, str, int]

# Machines that are in nobody's network: of the networks for documentation (RFC 5737, RFC 3849).
STRANGERS = ("198.51.100.7", "2001:db8:bad::7")
EVERYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
# Knocked at on every host: DNS, HTTP(S), Caddy's and Prometheus' own, and what engines usually listen on.
USUAL_PORTS = (53, 80, 111, 443, 631, 2019, 3000, 5432, 8000, 8080, 9090, 11434)


@dataclass(frozen=True)
class Opening:
    """A port that machines in `sources` may reach."""

    protocol: str
    port: int
    sources: tuple[Network, ...]

    def admits(self, source: str, protocol: str, port: int) -> bool:
        """True when a packet like this should get through."""
        address = ip_address(source)
        return (protocol, port) == (self.protocol, self.port) and any(address in one for one in self.sources)


def exposures(settings: FirewallSettings) -> tuple[Opening, ...]:
    """What the inventory exposes."""
    return tuple(Opening(one.protocol, one.port, one.sources or EVERYWHERE) for one in settings.exposed)


def openings(settings: FirewallSettings, ssh_ports: Iterable[int]) -> tuple[Opening, ...]:
    """What the inventory exposes, and SSH: on 22 and sshd's own ports where it does not name any."""
    ports = settings.ssh_ports or tuple(sorted({22, *ssh_ports}))
    ssh = tuple(Opening("tcp", port, settings.ssh_sources or EVERYWHERE) for port in ports)
    return ssh + exposures(settings)


def tries(wanted: Iterable[Opening], listening: Iterable[tuple[str, int]]) -> list[Try]:
    """Every port that should be open or that something listens on, and some usual ones, from every kind of machine."""
    wanted = tuple(wanted)
    sources = {
        *STRANGERS,
        *(member for one in wanted for network in one.sources if (member := _member(network))),
    }
    ports = {(one.protocol, one.port) for one in wanted} | set(listening)
    ports |= {(protocol, port) for protocol in ("tcp", "udp") for port in USUAL_PORTS}
    return [(source, *port) for source in sorted(sources) for port in sorted(ports)]


def first_difference(wanted: str, found: str) -> str | None:
    """The first line that one of two listings has alone, in words; None when they are the same."""
    for line in difflib.ndiff(wanted.splitlines(), found.splitlines()):
        if line.startswith("- "):
            return f"`{line[2:].strip()}` is missing"
        if line.startswith("+ "):
            return f"`{line[2:].strip()}` was added"
    return None


def _member(network: Network) -> str | None:
    """A machine in `network`; None where an interface cannot have such an address."""
    if network.prefixlen == 0:
        return None  # the strangers are members
    address = network.network_address + (1 if network.num_addresses > 2 else 0)
    return None if address.is_link_local or address.is_multicast or address.is_loopback else str(address)
