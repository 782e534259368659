"""Proof that a host can still be reached after a change of its firewall, SSH or network."""

from __future__ import annotations

import select
import sys
import time
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector

from labctl.edges.reporting import reporter
from labctl.errors import Failed
from labctl.hoststate.guard import Guarded

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_CONNECT_SECONDS = 8
_UNDO_TAKES_SECONDS = 2
_CONFIRMED = "firewall_confirmed"  # host data: a person's yes, given in advance


def refuse_unconfirmable(host: Host, resource: Guarded) -> None:
    """Raise Failed where nobody could confirm the change, before it is made: it would only come and go."""
    if not isinstance(host.connector, LocalConnector) or host.data.get(_CONFIRMED) or sys.stdin.isatty():
        return
    raise Failed(
        f"{resource.name}: nobody is here to say that SSH still works after the change",
        where=host.name,
        found="no terminal",
        expected="a person who answers, or a deploy over SSH, which tries a new connection by itself",
        hint=f"run it in a terminal, or say yes in advance: --data {_CONFIRMED}=true",
    )


def confirm_access(state: State, host: Host, resource: Guarded) -> bool:
    """True when a connection made after the change works (over SSH), or a person says so (on @local).

    When it does not, nothing has to be done here: the host's own timer restores what was there before. This waits
    for it, so that what the deploy reports is true.
    """
    since = time.monotonic()
    if isinstance(host.connector, SSHConnector):
        if _new_connection_works(state, host):
            return True
        _wait_for_undo(host, resource, since, "no new SSH connection gets through")
        again = _new_connection_works(state, host)
        outcome = (
            "the host undid it by itself and can be reached again" if again else "the host stays out of reach"
        )
        reporter().problem(host, _cut_off(resource, f"let no new SSH connection in; {outcome}"))
        return False
    if isinstance(host.connector, LocalConnector):
        if host.data.get(_CONFIRMED) or _says_yes(host, resource):
            return True
        _wait_for_undo(host, resource, since, "nobody said that SSH still works")
        reporter().problem(host, _cut_off(resource, "was not confirmed; the host undid it by itself"))
        return False
    return True  # a container or a simulation: no network lies between


def _cut_off(resource: Guarded, outcome: str) -> Failed:
    return Failed(f"{resource.name}: the change {outcome}", hint=resource.advice)


def _wait_for_undo(host: Host, resource: Guarded, since: float, why: str) -> None:
    seconds = resource.undo_seconds
    reporter().note(host, f"{resource.name}: {why}; the host undoes the change by itself within {seconds} s")
    time.sleep(max(0.0, since + seconds + _UNDO_TAKES_SECONDS - time.monotonic()))


def _new_connection_works(state: State, host: Host) -> bool:
    """Connect with a second connector of the same kind; the one in use would pass as an established connection."""
    connector: Any = type(host.connector)(state, host)
    kept = connector.make_paramiko_kwargs

    def with_timeout() -> dict[str, Any]:
        return {**kept(), "timeout": _CONNECT_SECONDS, "banner_timeout": _CONNECT_SECONDS}

    connector.make_paramiko_kwargs = with_timeout
    try:
        connector.connect()
        status, _ = connector.run_shell_command(StringCommand("true"), _timeout=_CONNECT_SECONDS)
        return bool(status)
    except (ConnectError, OSError, TimeoutError, EOFError):
        return False
    finally:
        if connector.client is not None:
            connector.client.close()


def _says_yes(host: Host, resource: Guarded) -> bool:
    reporter().question(
        host,
        f"the new {resource.name} are in force. Can you still log in over SSH from another machine? "
        f"Type yes within {resource.undo_seconds} s to keep them:",
    )
    # Without a limit, a person who went away would find the deploy waiting for an answer that changes nothing.
    answered, _, _ = select.select([sys.stdin], [], [], resource.undo_seconds)
    return bool(answered) and sys.stdin.readline().strip().lower() in ("y", "yes")
