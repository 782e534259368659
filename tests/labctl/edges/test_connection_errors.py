"""Connections that cannot be made, or do not last, in words that say what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from paramiko.ssh_exception import NoValidConnectionsError
from pyinfra.api.exceptions import ConnectError, PyinfraError

from labctl.edges.connection_errors import broken, explain, is_lost


def _host(**data: object) -> Any:
    return SimpleNamespace(name="aibox", data={"ssh_hostname": "192.0.2.20", "ssh_user": "lab", **data})


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "Could not resolve hostname ([Errno -2] Name or service not known)",
            "no host has this name",
            "spelled",
        ),
        (
            "Authentication error (username=lab) (Authentication failed.)",
            "refuses this login",
            "`ssh lab@192.0.2.20`",
        ),
        (
            "SSH host key error (Host key for aibox does not match.)",
            "another key",
            "ssh-keygen -R 192.0.2.20",
        ),
        (
            "SSH error (StrictPolicy: No host key for aibox found in known_hosts)",
            "not known here",
            "fingerprint",
        ),
        ("Could not connect (timed out)", "does not answer", "switched on"),
        ("Could not connect ([Errno 113] No route to host)", "does not answer", "address"),
    ],
)
def test_pyinfras_words_become_what_to_do(said: str, message: str, hint: str) -> None:
    problem = explain(_host(), ConnectError(said))
    assert message in problem.message
    assert problem.found == "lab@192.0.2.20"
    assert hint in (problem.hint or "")
    assert (problem.where, problem.exit_code) == ("aibox", 1)


def test_a_closed_port_is_told_from_a_silent_host() -> None:
    try:
        try:
            raise NoValidConnectionsError({("192.0.2.20", 2222): ConnectionRefusedError(111, "refused")})
        except OSError as cause:
            # as pyinfra does it: what was refused is only in the context
            raise ConnectError(f"Could not connect ({cause})")  # noqa: B904 - the context is the subject
    except ConnectError as error:
        problem = explain(_host(ssh_port=2222), error)
    assert "nothing answers on the SSH port" in problem.message
    assert "port 2222" in (problem.found or "")


def test_a_key_that_is_not_there_is_the_inventorys_mistake() -> None:
    problem = explain(_host(), PyinfraError("No such private key file: /no/such/key"))
    assert problem.exit_code == 2
    assert problem.where == "inventory: aibox.ssh_key"


def test_an_error_nobody_knows_keeps_its_words() -> None:
    problem = explain(_host(), ConnectError("SSH error (something new)"))
    assert "something new" in (problem.found or "")
    assert "by hand" in (problem.hint or "")


@pytest.mark.parametrize("active", [True, False])
def test_a_connection_is_lost_when_its_transport_has_ended(active: bool) -> None:
    transport = SimpleNamespace(is_active=lambda: active)
    client = SimpleNamespace(get_transport=lambda: transport)
    host: Any = SimpleNamespace(connector=SimpleNamespace(client=client))
    assert is_lost(host) is not active


@pytest.mark.parametrize("connector", [SimpleNamespace(), SimpleNamespace(client=None)])
def test_without_ssh_there_is_nothing_to_lose(connector: object) -> None:
    host: Any = SimpleNamespace(connector=connector)
    assert not is_lost(host)


def test_a_broken_connection_says_that_the_run_can_go_on() -> None:
    assert "run the same command" in str(broken("aibox"))
    assert "reset by peer" in str(broken("aibox", ConnectionResetError("reset by peer")))
