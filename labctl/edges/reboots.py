"""Waits for a host that reboots, and goes on with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paramiko import SSHException
from pyinfra.api.exceptions import PyinfraError
from pyinfra.connectors.local import LocalConnector

from labctl.edges import host_session
from labctl.edges.connection_errors import fail_fast
from labctl.edges.reporting import reporter
from labctl.errors import Failed
from labctl.hoststate.reboot import ASKED, REBOOT_SECONDS

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.state import State

    from labctl.hoststate.reboot import Rebooting

_PAUSE_SECONDS = 2
_CONNECT_SECONDS = 8
_BACK = "back"


def refuse_own_reboot(host: Host, resource: Rebooting) -> None:
    """Raise Failed where the reboot would end this very run."""
    if isinstance(host.connector, LocalConnector):
        raise Failed(
            f"{resource.name}: this machine must be rebooted, and cannot go on by itself while it is",
            where=str(host.name),
            hint="sudo reboot, then run the same again: it goes on from here",
        )


def wait_for_reboot(state: State, host: Host, resource: Rebooting) -> bool:  # noqa: ARG001 - pyinfra passes it by name
    """True once the host has come back, or was not asked to go; False, with the reason, when it stays away."""
    until = time.monotonic() + REBOOT_SECONDS
    told = False
    while time.monotonic() < until:
        try:
            if _is_back(host):
                return True
        except (Failed, PyinfraError, SSHException, OSError, EOFError):
            pass
        if not told:
            reporter().note(host, f"reboots; waiting up to {REBOOT_SECONDS // 60} minutes for it")
            told = True
        _drop(host)
        time.sleep(_PAUSE_SECONDS)
    reporter().problem(
        host,
        Failed(
            f"{resource.name}: the host has not come back",
            found=f"no login within {REBOOT_SECONDS} s",
            hint="look at its screen; when it is back, run the same again",
        ),
    )
    return False


def _is_back(host: Host) -> bool:
    """Whether it answers and has nothing left of what was there when it was asked to go."""
    host.connect(show_errors=False)  # does nothing where a connection stands
    if not host.connected:
        return False
    fail_fast(host)
    # A word, not an exit status: a command that was cut off has one, too.
    script = f"[ -e {ASKED} ] || echo {_BACK}"
    _, output = host_session.run_on(host, script, sudo=False, timeout=_CONNECT_SECONDS)
    return output.stdout_lines == [_BACK]


def _drop(host: Host) -> None:
    try:
        host.disconnect()
    except (PyinfraError, OSError, EOFError):
        host.connected = False
