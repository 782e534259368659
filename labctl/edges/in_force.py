"""What the hosts of an inventory have in force, for whoever names a workload of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from labctl.edges.held_shell import HeldShell
from labctl.edges.host_statuses import surveyed, without_name
from labctl.edges.workload_control import Control
from labctl.errors import BadInput, Failed, LabctlError
from labctl.status.choice import chosen


@dataclass
class InForce:
    """controls: hosts with a generation in force. silent: those that could not be asked, and why."""

    controls: dict[str, Control] = field(default_factory=dict)
    shells: dict[str, HeldShell] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)

    def chosen(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Workloads by host. Raises BadInput for a name that nobody knows, Failed where a silent host may."""
        return chosen(names, {host: control.units for host, control in self.controls.items()}, self.silent)


def in_force(shells: Mapping[str, HeldShell | LabctlError], say: Callable[[str], object]) -> InForce:
    """Ask every host. say: is called with a line for each step that is taken later."""
    found = InForce()
    for host, shell in shells.items():
        if isinstance(shell, LabctlError):
            found.silent[host] = without_name(shell, host)
            continue
        try:
            seen = surveyed(shell)
            if seen.generation is not None:
                found.controls[host] = Control(host, shell, seen, say)
                found.shells[host] = shell
        except (Failed, BadInput) as problem:
            found.silent[host] = without_name(problem, host)
    return found
