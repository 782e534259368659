"""What `labctl apply` put on the host: this role changes nothing there, and brings the checks of what is in force."""

from __future__ import annotations

from labctl.edges.pyinfra_roles import role
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.resource import Resource
from roles.workloads.settings import WorkloadsSettings


@role("workloads", WorkloadsSettings)
def workloads(settings: WorkloadsSettings, facts: HostFacts) -> tuple[Resource, ...]:  # noqa: ARG001 - a role's shape
    """Nothing: services are put in place by a transaction, never by an operation of a deploy."""
    return ()
