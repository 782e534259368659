"""The addresses of one session: an IPv4 /24 and a unique local IPv6 /64 (RFC 4193) of its own."""

import ipaddress
import json
import secrets
from dataclasses import dataclass

from labctl.errors import Failed
from tests.host.commands import run

_POOL = ipaddress.IPv4Network("10.197.0.0/16")
_ROUTER, _FIRST_GUEST, _LAST_GUEST, _LAPTOP = 1, 10, 250, 254


@dataclass(frozen=True)
class Subnet:
    """The network of one session. number: 0–255, the third byte of its IPv4 addresses."""

    number: int
    prefix6: ipaddress.IPv6Network

    @property
    def network4(self) -> ipaddress.IPv4Network:
        """The IPv4 network, a /24."""
        return ipaddress.IPv4Network((int(_POOL.network_address) + 256 * self.number, 24))

    def ipv4(self, host: int) -> str:
        """The IPv4 address of host number `host`, without prefix length."""
        return str(self.network4[host])

    def ipv6(self, host: int) -> str:
        """The IPv6 address of host number `host`; its last group reads like the IPv4 address's last byte."""
        return str(self.prefix6[int(str(host), 16)])

    @property
    def router4(self) -> str:
        """The router's IPv4 address: default route and DNS server of the guests."""
        return self.ipv4(_ROUTER)

    @property
    def router6(self) -> str:
        """The router's IPv6 address."""
        return self.ipv6(_ROUTER)

    @property
    def laptop4(self) -> str:
        """The IPv4 address of the machine the harness runs on."""
        return self.ipv4(_LAPTOP)

    @property
    def laptop6(self) -> str:
        """The IPv6 address of the machine the harness runs on."""
        return self.ipv6(_LAPTOP)

    @property
    def guest_numbers(self) -> range:
        """Host numbers free for guests."""
        return range(_FIRST_GUEST, _LAST_GUEST + 1)


def free_subnet(in_use: set[int]) -> Subnet:
    """A subnet no live session has and no route of this machine overlaps, with a fresh IPv6 prefix."""
    routes = json.loads(run(["ip", "-4", "-json", "route", "show", "table", "all"]).stdout)
    # A wide route (a VPN's 10.0.0.0/8) yields to our narrower one and takes no harm from it.
    taken = [
        network
        for route in routes
        if route["dst"] != "default"
        and (network := ipaddress.ip_network(route["dst"], strict=False)).prefixlen > _POOL.prefixlen
    ]
    prefix6 = ipaddress.IPv6Network((0xFD << 120 | secrets.randbits(40) << 80, 64))
    numbers = [number for number in range(256) if number not in in_use]
    for number in sorted(numbers, key=lambda _: secrets.randbits(16)):
        subnet = Subnet(number, prefix6)
        if not any(subnet.network4.overlaps(network) for network in taken):
            return subnet
    raise Failed(
        f"no free subnet in {_POOL}", hint="`python -m tests.host clean` removes what dead sessions left"
    )
