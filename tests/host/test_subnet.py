"""Sessions side by side, and the machine they run on, never share an address."""

import ipaddress
import json
import subprocess
from collections.abc import Sequence

import pytest

from labctl.errors import Failed
from tests.host import subnet
from tests.host.subnet import Subnet, free_subnet


def _machine_has_routes(monkeypatch: pytest.MonkeyPatch, *destinations: str) -> None:
    def answer(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(argv, 0, json.dumps([{"dst": each} for each in destinations]), "")

    monkeypatch.setattr(subnet, "run", answer)


def test_addresses_of_a_host_read_alike() -> None:
    network = Subnet(7, ipaddress.IPv6Network("fd00:1:2::/64"))

    assert (network.ipv4(42), network.ipv6(42)) == ("10.197.7.42", "fd00:1:2::42")
    assert (network.router4, network.router6) == ("10.197.7.1", "fd00:1:2::1")
    assert (network.laptop4, network.laptop6) == ("10.197.7.254", "fd00:1:2::254")
    assert {1, 254}.isdisjoint(network.guest_numbers)


def test_ipv6_prefixes_are_unique_local_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_has_routes(monkeypatch, "default")

    prefixes = {free_subnet(set()).prefix6 for _ in range(20)}

    assert len(prefixes) == 20
    assert all(prefix.subnet_of(ipaddress.IPv6Network("fd00::/8")) for prefix in prefixes)


def test_what_sessions_and_routes_have_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_has_routes(
        monkeypatch, "default", "10.0.0.0/8", "10.197.0.0/17", "10.197.200.17", "192.168.1.0/24"
    )
    in_use = set(range(128, 256)) - {200, 201}

    assert {free_subnet(in_use).number for _ in range(20)} == {201}
    with pytest.raises(Failed, match="no free subnet"):
        free_subnet(in_use | {201})
