"""Goes back on one host, or shows what there is to go back to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.cli.applied import HostRun, Manner, carry_out
from labctl.edges.applying import HostApply
from labctl.edges.host_shells import host_shells, opened
from labctl.errors import DONE, SCHEMA_VERSION, BadInput


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl rollback`, as it was written."""

    generation: int | None
    inventory: str
    show: bool
    yes: bool
    as_json: bool


def answer(asked: Asked) -> int:
    """Do it; returns the exit code. Raises BadInput for several hosts and for a generation that is not there."""
    with host_shells(asked.inventory) as shells:
        hosts = {name: HostApply(name, opened(shell)) for name, shell in shells.items()}
        found = {name: apply.look() for name, apply in hosts.items()}
        if asked.show:
            return _list({name: seen.status or {} for name, seen in found.items()}, as_json=asked.as_json)
        having = [name for name, seen in found.items() if seen.generation is not None]
        if len(having) != 1:
            raise BadInput(
                "which host is meant?" if having else "labctl has put nothing in place there",
                where="--inventory",
                found=", ".join(having or found),
                expected="one host with an earlier generation",
                hint=f"for example: --inventory {asked.inventory}:{having[0]}" if having else "labctl apply",
            )
        name = having[0]
        target = hosts[name].to_generation(found[name], asked.generation)
        manner = Manner("rollback", "Go back to this?", yes=asked.yes, as_json=asked.as_json)
        return carry_out([HostRun(name, hosts[name], target)], manner)


def _list(statuses: Mapping[str, Mapping[str, Any]], *, as_json: bool) -> int:
    """Newest first."""
    told = {
        name: {
            "current": status.get("current"),
            "generations": list(reversed(status.get("generations", ()))),
        }
        for name, status in statuses.items()
    }
    if as_json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, "mode": "rollback", "hosts": told}, indent=2))
        return DONE
    for name, host in told.items():
        print(f"{name}:" if host["generations"] else f"{name}: labctl has put nothing in place there")
        for each in host["generations"] or ():
            sign = "*" if each["number"] == host["current"] else " "
            came = f", came after {each['parent']}" if each["parent"] else ""
            print(f"{sign} {each['number']:>4}  since {each['created_at'][:16].replace('T', ' ')} UTC{came}")
    return DONE
