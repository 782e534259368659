"""The folders of models of an inventory's hosts, with a root shell on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from labctl.edges.held_shell import HeldShell
from labctl.edges.host_models import Folder, HostModels
from labctl.edges.host_shells import host_shells
from labctl.edges.models_folders import models_folders
from labctl.edges.models_in_use import units_by_model
from labctl.errors import BadInput, LabctlError
from labctl.plan.plan import Plan


@dataclass(frozen=True)
class ModelHost:
    """A host that answers."""

    name: str
    shell: HeldShell
    models: HostModels

    def in_use(self) -> Mapping[str, tuple[str, ...]]:
        """The units that load each model."""
        return units_by_model(self.name, self.shell)


@dataclass(frozen=True)
class Seen:
    """What lies on a host, and the units that load it."""

    host: ModelHost
    folder: Folder
    units: Mapping[str, tuple[str, ...]]


@contextmanager
def model_hosts(inventory: str) -> Iterator[Mapping[str, ModelHost | LabctlError]]:
    """Each host of `FILE`, or the one of `FILE:HOST`; in its place, why it does not answer.

    Raises BadInput for an inventory that cannot be used.
    """
    folders = models_folders(inventory)
    with host_shells(inventory) as shells:
        yield {
            name: shell
            if isinstance(shell, LabctlError)
            else ModelHost(name, shell, HostModels(name, shell, folders[name]))
            for name, shell in shells.items()
        }


def seen(hosts: Mapping[str, ModelHost | LabctlError]) -> dict[str, Seen | LabctlError]:
    """What lies on each host; in its place, why nobody knows."""
    found: dict[str, Seen | LabctlError] = {}
    for name, host in hosts.items():
        try:
            found[name] = (
                host if isinstance(host, LabctlError) else Seen(host, host.models.listed(), host.in_use())
            )
        except LabctlError as problem:
            found[name] = problem
    return found


def hosts_of_plan(plan: Plan, known: Mapping[str, ModelHost | LabctlError]) -> dict[str, str]:
    """The name in the inventory of each of the plan's hosts that run something.

    One host is one host, whatever it is called: `@local` has no name that a plan could have. Raises BadInput for a host
    that the inventory does not have.
    """
    wanted = sorted({planned.host for planned in plan.workloads.values()})
    if len(plan.rig.hosts) == len(known) == 1:
        return {name: next(iter(known)) for name in wanted}
    for name in wanted:
        if name not in known:
            raise BadInput(
                "the inventory has no such host",
                where="--inventory",
                found=name,
                expected=", ".join(known),
                hint="plan and inventory have to call it alike",
            )
    return {name: name for name in wanted}
