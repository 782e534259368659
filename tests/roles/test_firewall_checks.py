"""The checks of the firewall role: what is knocked at, and what the answers mean."""

import inspect
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from labctl.edges.checks import Host, NotRunHere
from labctl.hoststate.facts import HostFacts
from roles.firewall import checks, trial
from roles.firewall.ruleset import RULES
from roles.firewall.settings import FirewallSettings
from roles.firewall.trial import STRANGERS, Opening
from tests.roles.host_facts import host_facts
from tests.roles.recorded_host import Answer, RecordedHost, recorded_host

_LISTING = 'table inet labctl {\n\tchain input {\n\t\tiifname "lo" accept\n\t\ttcp dport 22 accept\n\t}\n}\n'
_SS = """udp   UNCONN 0      0        127.0.0.53%lo:53         0.0.0.0:*
tcp   LISTEN 0      128            0.0.0.0:22         0.0.0.0:*
tcp   LISTEN 0      4096         127.0.0.1:11434      0.0.0.0:*
tcp   LISTEN 0      128               [::]:22            [::]:*
tcp   LISTEN 0      4096                 *:9100             *:*
"""
_SSH = [[source, "tcp", 22] for source in STRANGERS]
EXPOSED = FirewallSettings.model_validate(
    {
        "ssh_sources": ["10.0.0.0/8"],
        "exposed": [
            {"port": 443},
            {"port": 53, "protocol": "udp", "from": ["192.168.1.0/24", "fd00:5::/64"]},
        ],
    }
)

GOOD: dict[str, Answer] = {
    "nft -s list table inet labctl": _LISTING,
    "unshare --net sh -c 'nft -f /etc/labctl/firewall.nft && nft -s": _LISTING,
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": (3, "inactive\n", ""),
    "systemctl is-active labctl-firewall.service": "active\n",
    "systemctl show -p ExecStart": f"{{ path=/usr/sbin/nft ; argv[]=/usr/sbin/nft -f {RULES} ; }}\n",
    "grep -qsi ^ENABLED=yes": (1, "", ""),
    "nft add table inet foreign": "table inet foreign\ntable inet labctl\n",
    "ss -H -lntu": _SS,
    "TRIAL=": json.dumps(_SSH),
    '"published": true': "[]",
}


def run(
    check: Callable[..., None],
    answers: Mapping[str, Answer],
    settings: FirewallSettings | None = None,
    facts: HostFacts | None = None,
) -> None:
    host = recorded_host({**GOOD, **answers})
    fixtures: dict[str, Any] = {
        "host": host,
        "settings": settings or FirewallSettings(),
        "facts": facts or host_facts(),
        "listening": (("tcp", 22), ("tcp", 9100)),
    }
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None]) -> None:
    run(check, {})


@pytest.mark.parametrize(
    ("check", "answers", "message"),
    [
        (
            checks.test_loaded,
            {"nft -s list table inet labctl": (1, "", "No such file")},
            "nothing is filtered",
        ),
        (
            checks.test_loaded,
            {"nft -s list table inet labctl": _LISTING.replace("\t\ttcp dport 22 accept\n", "")},
            "`tcp dport 22 accept` is missing",
        ),
        (
            checks.test_loaded,
            {"nft -s list table inet labctl": _LISTING.replace("22 accept", "22 accept\n\t\taccept")},
            "`accept` was added",
        ),
        (checks.test_boot_unit, {"systemctl is-enabled": (1, "disabled\n", "")}, "disabled and active"),
        (checks.test_boot_unit, {"systemctl is-enabled": (1, "", "no such")}, "not there and active"),
        (
            checks.test_boot_unit,
            {"systemctl is-active labctl-firewall.service": (3, "failed\n", "")},
            "enabled and failed",
        ),
        (
            checks.test_boot_unit,
            {"systemctl show -p ExecStart": "{ path=/usr/sbin/nft ; argv[]=nft -f /etc/nftables.conf ; }"},
            "does not load",
        ),
        (
            checks.test_no_undo_pending,
            {"systemctl is-active labctl-firewall-undo.timer": "active\n"},
            "about to undo",
        ),
        (
            checks.test_no_second_firewall,
            {"systemctl is-active ufw": "active\n", "grep -qsi ^ENABLED=yes": ""},
            "ufw is running",
        ),
        (
            checks.test_no_second_firewall,
            {"systemctl is-active firewalld": "active\n"},
            "firewalld is running",
        ),
        (
            checks.test_other_tables_survive,
            {"nft add table inet foreign": "table inet labctl\n"},
            "what was left is table inet labctl",
        ),
        (checks.test_reachable, {"TRIAL=": "[]"}, f"22/tcp from {STRANGERS[0]} does not get through"),
        (
            checks.test_reachable,
            {"TRIAL=": json.dumps([*_SSH, [STRANGERS[1], "tcp", 9100]])},
            f"^9100/tcp from {STRANGERS[1]} gets through and should not$",
        ),
        (checks.test_reachable, {"TRIAL=": (1, "", "no\npython3: not found")}, "failed: python3: not found"),
        (
            checks.test_published,
            {'"published": true': json.dumps(_SSH)},
            f"22/tcp from {STRANGERS[0]} gets through",
        ),
    ],
)
def test_a_wrong_host_fails(check: Callable[..., None], answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


def test_every_check_was_seen_failing() -> None:
    (wrong,) = (mark for mark in test_a_wrong_host_fails.pytestmark if mark.name == "parametrize")
    assert {case[0] for case in wrong.args[1]} == set(CHECKS)


def test_what_is_exposed_must_get_through() -> None:
    everything: list[list[Any]] = [
        *([source, "tcp", 443] for source in (*STRANGERS, "10.0.0.1", "192.168.1.1", "fd00:5::1")),
        *([source, "udp", 53] for source in ("192.168.1.1", "fd00:5::1")),
    ]
    run(checks.test_published, {'"published": true': json.dumps(everything)}, EXPOSED)
    run(checks.test_reachable, {"TRIAL=": json.dumps([*everything, ["10.0.0.1", "tcp", 22]])}, EXPOSED)
    for missing in everything:
        less = json.dumps([each for each in everything if each != missing])
        if missing[0] == "10.0.0.1":
            continue  # of the network SSH is open to, and no container's port is about SSH
        with pytest.raises(
            AssertionError, match=re.escape(f"{missing[2]}/{missing[1]} from {missing[0]} does not")
        ):
            run(checks.test_published, {'"published": true': less}, EXPOSED)


def test_ssh_is_open_only_to_its_networks() -> None:
    wanted = trial.openings(EXPOSED, (2222,))
    ssh = [one for one in wanted if one.protocol == "tcp" and one.port != 443]
    assert [one.port for one in ssh] == [22, 2222]
    assert all(one.admits("10.1.2.3", "tcp", one.port) for one in ssh)
    assert not any(
        one.admits(source, "tcp", one.port) for one in ssh for source in (*STRANGERS, "192.168.1.1")
    )


def test_an_opening_admits_its_port_and_protocol_alone() -> None:
    opening = Opening("tcp", 443, trial.EVERYWHERE)
    assert opening.admits("2001:db8::7", "tcp", 443)
    assert not opening.admits("2001:db8::7", "udp", 443)
    assert not opening.admits("2001:db8::7", "tcp", 444)


def test_knocking_is_tried_from_every_network_at_every_port() -> None:
    tries = trial.tries(trial.openings(EXPOSED, (2222,)), (("tcp", 9100), ("udp", 53)))
    sources = {*STRANGERS, "10.0.0.1", "192.168.1.1", "fd00:5::1"}
    assert {source for source, _, _ in tries} == sources
    assert {(source, "tcp", port) for source in sources for port in (22, 443, 2222, 9100)} <= set(tries)
    assert {(source, "udp", 53) for source in sources} <= set(tries)
    assert len(set(tries)) == len(tries)


@pytest.mark.parametrize(
    ("network", "sources"),
    [
        ("192.168.7.7/32", {"192.168.7.7"}),
        ("fd00::/8", {"fd00::1"}),
        ("0.0.0.0/0", set()),
        ("fe80::/10", set()),
        ("169.254.0.0/16", set()),
        ("127.0.0.0/8", set()),
    ],
)
def test_a_member_is_one_that_an_interface_can_be(network: str, sources: set[str]) -> None:
    settings = FirewallSettings.model_validate({"exposed": [{"port": 1, "from": [network]}]})
    tries = trial.tries(trial.exposures(settings), ())
    assert {source for source, _, _ in tries} == {*STRANGERS, *sources}


def test_whatever_listens_is_knocked_at() -> None:
    host = recorded_host({"ss -H -lntu": _SS})
    assert inspect.unwrap(checks.listening)(host) == (("tcp", 22), ("tcp", 9100), ("tcp", 11434), ("udp", 53))


def test_the_program_reaches_the_host_whole() -> None:
    commands: list[str] = []

    class Listening(RecordedHost):
        def run(self, command: str, *args: str, **kwargs: Any) -> Any:
            commands.append(command)
            return super().run(command, *args, **kwargs)

    host = Host(Listening(GOOD))
    checks.test_reachable(host, FirewallSettings(), host_facts(), (("tcp", 22),))
    assignment, *_, argument = shlex.split(commands[0])
    assert assignment.removesuffix(";").startswith('TRIAL="""Tries a ruleset with real packets.')
    assert json.loads(argument)["rules"] == RULES
    assert ["198.51.100.7", "tcp", 22] in json.loads(argument)["tries"]


def test_a_container_without_the_right_to_try_says_so() -> None:
    refused = {"TRIAL=": (1, "", "unshare: unshare failed: Operation not permitted")}
    with pytest.raises(NotRunHere):
        run(checks.test_reachable, refused, facts=host_facts(container="docker"))
    with pytest.raises(AssertionError):
        run(checks.test_reachable, refused)


def test_a_firewall_that_is_not_ours_is_not_judged() -> None:
    fixture = inspect.unwrap(checks.managed)
    fixture(FirewallSettings())
    with pytest.raises(NotRunHere, match=re.escape("firewall.manage is False")):
        fixture(FirewallSettings(manage=False))
