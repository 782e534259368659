"""The one operation: bring a resource to what is wanted, with at most one survey and one command."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import FunctionCommand, PyinfraCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import operation
from pyinfra.api.state import State
from pyinfra.context import host, state

from labctl.edges.access_guard import confirm_access, refuse_unconfirmable
from labctl.edges.host_session import HostSession
from labctl.edges.reboots import refuse_own_reboot, wait_for_reboot
from labctl.edges.reporting import reporter
from labctl.errors import LabctlError
from labctl.hoststate.failure_causes import explain
from labctl.hoststate.guard import Guarded
from labctl.hoststate.noting import Noting
from labctl.hoststate.reboot import Rebooting
from labctl.hoststate.resource import Action, Resource


@operation()
def converge(resource: Resource) -> Generator[PyinfraCommand, None, None]:
    """Compare `resource` with the host and close the gap.

    A resource that can lock its own client out (`Guarded`) is armed with a timed undo on the host first, and kept only
    once a new connection has proven that the host can still be reached. One that may reboot the host (`Rebooting`) is
    waited for, and then held against what the reboot was for.
    """
    session = HostSession.of(host)
    executing = state.is_executing
    try:
        difference = session.compare(resource)
        if executing and isinstance(resource, Noting):
            for note in resource.notes(session.observe(resource)):
                reporter().note(host, note)
        if difference is None:
            host.noop(f"{resource.name}: as wanted")
            return
        if executing:
            _refuse(host, resource)
        action = resource.action(session.observe(resource))
    except LabctlError as problem:
        if not executing:
            raise
        # An exception here would end the run on every host; a failing command fails this operation on this host.
        reporter().problem(host, problem)
        yield FunctionCommand(_fail, (), {})
        return
    if executing:
        reporter().reason(host, resource.name, difference.reason)
        session.failure_output = []
    try:
        yield _command(action)
        yield from _confirmed(resource)
    finally:  # pyinfra drops this generator when a command fails
        if executing:
            session.invalidate()
            cause = explain(session.failure_output)
            if cause:
                reporter().problem(host, cause)


def _refuse(host: Host, resource: Resource) -> None:
    """Raise Failed for what cannot be seen through from here."""
    if isinstance(resource, Guarded):
        refuse_unconfirmable(host, resource)
    elif isinstance(resource, Rebooting):
        refuse_own_reboot(host, resource)


def _confirmed(resource: Resource) -> Generator[PyinfraCommand, None, None]:
    if isinstance(resource, Guarded):
        yield FunctionCommand(confirm_access, (resource,), {})
        yield _command(resource.confirm())
    elif isinstance(resource, Rebooting):
        yield FunctionCommand(wait_for_reboot, (resource,), {})
        yield _command(resource.confirm())


def _command(action: Action) -> StringCommand:
    return (
        StringCommand(action.script, _stdin=list(action.stdin))
        if action.stdin
        else StringCommand(action.script)
    )


def _fail(state: State, host: Host) -> bool:  # noqa: ARG001 - pyinfra passes them by name
    return False
