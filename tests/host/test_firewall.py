"""What other machines reach on a host with our firewall, and what containers reach: with packets, IPv4 and IPv6."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from roles.firewall.ruleset import RULES
from tests.host.apt_sources import machine_archive
from tests.host.converged import KNOCKING, converged_layer
from tests.host.hosts import ThrowawayHosts
from tests.host.knocking import ECHO, Try
from tests.host.published_service import (
    CONTAINER_SAYS,
    PLAIN,
    PLAIN_SAYS,
    PUBLISHED,
    PUBLISHED_TOO,
    Lab,
    link_local,
    listing,
)
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_SSH = "SSH-2.0-"
# sshd does not listen there.
_LOCKED_OUT: dict[str, Any] = {"ssh_ports": [2222], "undo_seconds": 10}
_FORGET_FIREWALL = (
    "systemctl disable --now labctl-firewall; rm -r /etc/labctl /var/lib/labctl/firewall.loaded "
    "/etc/systemd/system/labctl-firewall.service; systemctl daemon-reload"
)
# What a refused deploy could have touched.
_STATE = "nft list ruleset; ls -l --time-style=full-iso /etc/labctl /var/lib/labctl /etc/systemd/system"


@pytest.fixture(scope="module")
def lab(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    layer = converged_layer(throwaway_hosts)
    server, client = (throwaway_hosts.boot(name, layer=layer) for name in ("server", "client"))
    yield Lab(server, client, tmp_path_factory.mktemp("firewall"))
    throwaway_hosts.destroy(server)
    throwaway_hosts.destroy(client)


def _everything(lab: Lab) -> dict[Try, str]:
    """What there is to reach from outside, and what it says."""
    published = lab.on_server(PUBLISHED, PUBLISHED_TOO) + lab.on_server(PUBLISHED, protocol="udp")
    plain = lab.on_server(PLAIN) + lab.on_server(PLAIN, protocol="udp")
    return dict.fromkeys(published + lab.inside(), CONTAINER_SAYS) | dict.fromkeys(plain, PLAIN_SAYS)


def _only(lab: Lab, open_to_all: Iterable[Try]) -> dict[Try, str | None]:
    wanted = set(open_to_all)
    return {each: says if each in wanted else None for each, says in _everything(lab).items()}


def _assert_containers_work(lab: Lab) -> None:
    """Out to the LAN, to each other through published ports, to this host's SSH; and names, inside and outside."""
    ssh = [("tcp", address, 22) for address in (lab.client.ipv4, lab.client.ipv6, lab.server.ipv4)]
    heard = lab.from_container([*ssh, *lab.on_server(PUBLISHED)])
    assert all((heard[each] or "").startswith(_SSH) for each in ssh), heard
    assert {heard[each] for each in lab.on_server(PUBLISHED)} == {CONTAINER_SAYS}, heard
    outside = str(urlsplit(machine_archive().mirror).hostname)
    names = lab.resolved_in_container("web", outside)
    assert names["web"] == sorted(lab.container), names
    assert names[outside], names


def _wait_until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)


def test_nothing_is_reachable_from_outside_until_it_is_exposed(lab: Lab) -> None:
    assert lab.deploy().exit_code == 0
    # Without the rules all of it is reachable: what is closed below is closed by them.
    lab.server.console_run("nft delete table inet labctl")
    assert lab.from_client(_everything(lab)) == _everything(lab)
    lab.server.console_run("systemctl reload labctl-firewall")
    assert lab.from_client(_everything(lab)) == _only(lab, [])
    # The host itself, and SSH.
    loopback = ("tcp", "127.0.0.1", PUBLISHED)
    assert lab.from_server([loopback]) == {loopback: CONTAINER_SAYS}
    heard = lab.from_client(lab.on_server(22))
    assert all((said or "").startswith(_SSH) for said in heard.values()), heard


def test_echo_and_addresses_by_dhcp_get_through(lab: Lab) -> None:
    assert lab.deploy().exit_code == 0
    echoes = [("icmp", address, 0) for address in (lab.server.ipv4, lab.server.ipv6)]
    assert lab.from_client(echoes) == dict.fromkeys(echoes, ECHO)
    says = "got a lease"
    for port in (68, 546):
        lab.server.console_run(
            f"systemd-run --quiet --unit=lease-{port} python3 {KNOCKING} serve {port} '{says}'"
        )
    four = ("udp", lab.server.ipv4, 68)
    six, wide = ("udp", f"{link_local(lab.server)}%host0", 546), ("udp", lab.server.ipv6, 546)
    try:
        assert lab.from_client([four], source_port=67) == {four: says}
        assert lab.from_client([six, wide], source_port=547) == {six: says, wide: None}
        # A DHCPv6 server may send from any port, one of IPv4 may not.
        assert lab.from_client([six, four], source_port=10547) == {six: says, four: None}
    finally:
        lab.server.console_run("systemctl stop lease-68 lease-546")


def test_containers_reach_the_network_and_resolve_names(lab: Lab) -> None:
    assert lab.deploy().exit_code == 0
    _assert_containers_work(lab)


def test_what_is_exposed_is_reachable_and_nothing_beside_it(lab: Lab) -> None:
    exposed = [
        {"port": PUBLISHED},
        {"port": PUBLISHED, "protocol": "udp"},
        {"port": PLAIN, "protocol": "udp"},
    ]
    run = lab.deploy(exposed=exposed)
    assert run.exit_code == 0, run.stdout
    expected = _only(lab, lab.on_server(PUBLISHED) + lab.on_server(PUBLISHED, PLAIN, protocol="udp"))
    assert lab.from_client(expected) == expected
    assert lab.from_laptop(lab.on_server(PUBLISHED)) == dict.fromkeys(
        lab.on_server(PUBLISHED), CONTAINER_SAYS
    )


def test_what_is_exposed_to_some_networks_is_closed_to_others(lab: Lab) -> None:
    networks = [f"{lab.client.ipv4}/32", f"{lab.client.ipv6}/128"]
    run = lab.deploy(exposed=[{"port": port, "from": networks} for port in (PUBLISHED, PLAIN)])
    assert run.exit_code == 0, run.stdout
    ports = lab.on_server(PUBLISHED, PLAIN)
    assert lab.from_client(_everything(lab)) == _only(lab, ports)
    assert lab.from_laptop(ports) == dict.fromkeys(ports)


def test_a_reload_and_a_changed_rule_leave_containers_and_other_tables_alone(lab: Lab) -> None:
    lab.server.console_run("nft add table inet foreign; nft add chain inet foreign mine")
    before = [listing(lab.server, table) for table in ("inet netavark", "inet foreign")]
    assert all(before)
    lab.server.console_run("systemctl reload labctl-firewall")
    assert lab.deploy(exposed=[{"port": PUBLISHED_TOO}]).exit_code == 0
    assert [listing(lab.server, table) for table in ("inet netavark", "inet foreign")] == before
    _assert_containers_work(lab)
    assert lab.from_client(_everything(lab)) == _only(lab, lab.on_server(PUBLISHED_TOO))


def test_a_restart_of_debians_own_firewall_unit_does_not_open_the_host(lab: Lab) -> None:
    """It begins with `flush ruleset`."""
    assert lab.deploy().exit_code == 0
    rules = listing(lab.server)
    lab.server.console_run("systemctl start nftables; systemctl restart labctl-firewall")
    try:
        for verb in ("restart", "reload"):
            lab.server.console_run(f"systemctl {verb} nftables")
            # It does not wait for the units that follow it.
            _wait_until(lambda: listing(lab.server) == rules)
    finally:
        lab.server.console_run("systemctl stop nftables; systemctl start labctl-firewall")
        lab.server.console_run("podman network reload --all")


def test_after_a_reboot_the_rules_are_there_before_the_network(lab: Lab) -> None:
    assert lab.deploy(exposed=[{"port": PUBLISHED}]).exit_code == 0
    rules = listing(lab.server)
    lab.server.reboot()
    assert lab.server.wait_running() == "running"
    assert listing(lab.server) == rules
    loaded, network, configured = (
        int(lab.server.console_run(f"systemctl show -p {what} --value").stdout)
        for what in (
            "ExecMainExitTimestampMonotonic labctl-firewall",
            "ActiveEnterTimestampMonotonic network-pre.target",
            "ExecMainStartTimestampMonotonic systemd-networkd",
        )
    )
    assert 0 < loaded <= network <= configured
    lab.container = lab._addresses_of("web")
    lab.route_to_containers()
    assert lab.from_client(_everything(lab)) == _only(lab, lab.on_server(PUBLISHED))
    _assert_containers_work(lab)


def _logs_in(host: ThrowawayHost) -> bool:
    return host.run("true", check=False).returncode == 0


def test_rules_that_lock_ssh_out_are_undone_by_the_host(lab: Lab) -> None:
    assert lab.deploy(exposed=[{"port": PUBLISHED}]).exit_code == 0
    rules, file = listing(lab.server), lab.server.console_run(f"sha256sum {RULES}").stdout
    run = lab.deploy(**_LOCKED_OUT)
    assert run.exit_code == 1
    (failed,) = (o for o in run.host("server")["operations"] if o["status"] == "failed")
    assert any("the host undid it by itself and can be reached again" in line for line in failed["output"]), (
        failed
    )
    assert _logs_in(lab.server)
    assert listing(lab.server) == rules
    assert lab.server.console_run(f"sha256sum {RULES}").stdout == file
    lab.server.reboot()
    assert listing(lab.server) == rules
    again = lab.deploy(exposed=[{"port": PUBLISHED}])
    assert (again.exit_code, again.changed("server")) == (0, set())


def test_a_host_that_had_no_rules_has_none_again(lab: Lab) -> None:
    """Networks that nobody is in, this time."""
    lab.client.console_run(_FORGET_FIREWALL)
    run = lab.deploy(host=lab.client, ssh_sources=["192.0.2.0/24", "2001:db8::/32"], undo_seconds=10)
    assert run.exit_code == 1
    assert "the host undid it by itself" in run.stdout
    assert _logs_in(lab.client)
    for _ in range(2):
        assert listing(lab.client) == ""
        assert not lab.client.console_run(f"ls {RULES} 2>/dev/null", check=False).stdout
        lab.client.reboot()
    assert lab.deploy(host=lab.client).changed("client") >= {"firewall: rules", "firewall: boot unit"}
    assert listing(lab.client) != ""
    lab.route_to_containers()


def test_a_client_that_dies_before_it_confirms_leaves_the_old_rules(lab: Lab) -> None:
    assert lab.deploy().exit_code == 0
    rules = listing(lab.server)
    dying = lab.start_deploy(**_LOCKED_OUT)
    _wait_until(lambda: "tcp dport 2222" in listing(lab.server))
    os.killpg(dying.pid, signal.SIGKILL)
    dying.wait()
    assert not _logs_in(lab.server)
    _wait_until(lambda: _logs_in(lab.server))
    assert listing(lab.server) == rules
    after = lab.deploy(ssh_ports=[22, 2222])
    assert (after.exit_code, after.changed("server")) == (0, {"firewall: rules", "deploy: receipt"})


@pytest.mark.parametrize("rival", ["ufw", "firewalld"])
def test_a_second_firewall_is_refused_and_nothing_is_touched(lab: Lab, rival: str) -> None:
    assert lab.deploy(host=lab.client).exit_code == 0
    unit = f"/run/systemd/system/{rival}.service"
    lab.client.console_run(
        f"printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' >{unit}; "
        f"mkdir -p /etc/ufw; echo ENABLED=yes >/etc/ufw/ufw.conf; systemctl daemon-reload; systemctl start {rival}"
    )
    if rival == "ufw":
        # As on every Ubuntu server: the unit is active and nothing is filtered.
        lab.client.console_run("mkdir -p /etc/ufw; echo ENABLED=no >/etc/ufw/ufw.conf")
        assert lab.deploy(host=lab.client).exit_code == 0
        lab.client.console_run("echo ENABLED=yes >/etc/ufw/ufw.conf")
    before = lab.client.console_run(_STATE).stdout
    try:
        run = lab.deploy(host=lab.client, exposed=[{"port": 443}])
        assert run.exit_code == 1
        error = run.host("client")["error"]
        assert f"{rival} is running" in error["message"]
        assert f"systemctl disable --now {rival}" in error["hint"]
        assert lab.client.console_run(_STATE).stdout == before
    finally:
        lab.client.console_run(
            f"systemctl stop {rival}; rm -r {unit} /etc/ufw; systemctl daemon-reload", check=False
        )
