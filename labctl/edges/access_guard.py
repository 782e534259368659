"""Proof that a host can still be reached after a change of its firewall, SSH or network."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector

from labctl.edges.reporting import reporter
from labctl.hoststate.guard import Guarded

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

_CONNECT_SECONDS = 8


def confirm_access(state: State, host: Host, resource: Guarded) -> bool:
    """True when a connection made after the change works (over SSH), or a person says so (on @local).

    When it does not, nothing has to be done here: the host's own timer restores what was there before. This waits
    for it, so that what the deploy reports is true.
    """
    name = resource.name
    if isinstance(host.connector, SSHConnector):
        if _new_connection_works(state, host):
            return True
        _wait_for_undo(host, resource, f"{name}: a new connection does not get through")
        reached = _new_connection_works(state, host)
        outcome = (
            "undone by the host itself, it can be reached again" if reached else "still not to be reached"
        )
        reporter().note(host, f"{name}: {outcome}")
        return False
    if isinstance(host.connector, LocalConnector):
        if _ask(host, resource):
            return True
        _wait_for_undo(host, resource, f"{name}: nobody said that SSH still works")
        reporter().note(host, f"{name}: undone by the host itself")
        return False
    return True  # a container or a simulation: no network lies between


def _wait_for_undo(host: Host, resource: Guarded, why: str) -> None:
    seconds = resource.undo_seconds
    reporter().note(host, f"{why}; the host undoes the change by itself within {seconds} s")
    time.sleep(seconds + 2)


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


def _ask(host: Host, resource: Guarded) -> bool:
    if host.data.get("firewall_confirmed"):
        return True
    if not sys.stdin.isatty():
        reporter().note(
            host, f"{resource.name}: nobody to ask on @local; --data firewall_confirmed=true says yes"
        )
        return False
    sys.stderr.write(
        f"\n{resource.name} is loaded. Can you still log in over SSH from another machine?\n"
        f"Type yes within {resource.undo_seconds} s to keep it (anything else undoes it): "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
