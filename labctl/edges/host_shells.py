"""Root shells on the hosts of an inventory, held open by this process: for commands that ask, wait and ask again.

pyinfra makes the connections, so the inventory's addresses, keys and passwords hold as for a deploy.
"""

from __future__ import annotations

import getpass
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.edges.held_shell import ConnectionLost, HeldShell, Streams
from labctl.edges.inventory_argument import split
from labctl.edges.patched_library import import_pyinfra
from labctl.errors import LabctlError
from labctl.hoststate.facts import refuse_unsupported
from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api import Host
    from pyinfra.api.inventory import Inventory


@contextmanager
def host_shells(
    inventory: str, *, settings_later: bool = False
) -> Iterator[Mapping[str, HeldShell | LabctlError]]:
    """A root shell on each host of `FILE`, or the one of `FILE:HOST`; in its place, why there is none.

    A shell whose connection broke makes a new one for its next command. Raises BadInput for an inventory that cannot
    be used. settings_later: of a host's data only what concerns its connection is looked at; for who looks at the rest
    (`models_folders`) before anything is changed.
    """
    import_pyinfra()

    from labctl.edges.deploy_request import DeployRequest
    from labctl.edges.inventory_file import load_inventory, read_inventory

    # What they would write about a host that does not answer is told in its place.
    for library in ("paramiko", "pyinfra"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    path, name = split(inventory)
    load = read_inventory if settings_later else load_inventory
    found = load(DeployRequest("read", path, limit=(name,) if name else ()))
    _use(found)
    shells = {host.name: _shell(host) for host in found}
    try:
        yield shells
    finally:
        for shell in shells.values():
            if isinstance(shell, HeldShell):
                shell.close()
        for host in found:
            if host.connected:
                host.disconnect()


def shell_of(host: Host) -> HeldShell:
    """A root shell on a host that pyinfra has connected to. Raises Failed where nobody there can become root."""
    from labctl.edges.host_session import HostSession

    session = HostSession.of(host)
    refuse_unsupported(session.address, session.login)
    session.refuse_powerless()
    return HeldShell(
        host.name, lambda program: _start(host, program), sudo=session.sudo, password=lambda: _password(host)
    )


def _use(inventory: Inventory) -> None:
    import pyinfra
    from pyinfra.api.config import Config
    from pyinfra.api.state import State
    from pyinfra.context import ctx_config, ctx_inventory, ctx_state

    # Without a handler Python prints warnings of libraries: what matters of them comes as an error of ours.
    for library in ("pyinfra", "paramiko"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    pyinfra.is_cli = True
    config, state = Config(), State(check_for_changes=False)
    ctx_config.set(config)
    ctx_state.set(state)
    ctx_inventory.set(inventory)
    state.cwd = str(Path.cwd())
    state.init(inventory, config)


def _shell(host: Host) -> HeldShell | LabctlError:
    try:
        _connect(host)
        return shell_of(host)
    except LabctlError as problem:
        return problem


def _connect(host: Host) -> None:
    """Raises Failed, or BadInput for a key that cannot be used."""
    from paramiko import SSHException
    from pyinfra.api.exceptions import PyinfraError

    from labctl.edges import connection_errors

    try:
        host.connect(show_errors=False, raise_exceptions=True)
    except (PyinfraError, OSError, SSHException, TypeError, ValueError) as error:
        raise connection_errors.explain(host, error) from error
    connection_errors.fail_fast(host)


def _start(host: Host, program: str) -> Streams:
    """Start a program over the connection that stands, or over a new one."""
    from labctl.edges import connection_errors
    from labctl.edges.shell_streams import starter

    if not host.connected or connection_errors.is_lost(host):
        host.connected = False
        try:
            _connect(host)
        except LabctlError as problem:
            raise ConnectionLost(
                problem.message, where=problem.where, found=problem.found, hint=problem.hint
            ) from problem
    return starter(host)(program)


def _password(host: Host) -> str | None:
    """sudo's, from the inventory or from whoever sits there."""
    given = host.data.get("_sudo_password")
    if given:
        return given.reveal() if isinstance(given, Secret) else str(given)
    if not sys.stdin.isatty():
        return None
    try:
        return getpass.getpass(f"{host.name}: sudo password: ") or None
    except EOFError:
        return None


def opened(shell: HeldShell | LabctlError) -> HeldShell:
    """The shell. Raises what stands in its place."""
    if isinstance(shell, LabctlError):
        raise shell
    return shell
