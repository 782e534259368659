"""Prints a workload's journal, and goes on with it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import sleep

from labctl.edges.host_shells import host_shells
from labctl.edges.in_force import InForce, in_force
from labctl.edges.workload_logs import Entry, Journal
from labctl.errors import DONE
from labctl.transaction.manifest import ManagedUnit

_LINES = 50
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl logs`, as it was written."""

    name: str
    inventory: str
    lines: int | None
    since: str | None
    follow: bool


def answer(asked: Asked) -> int:
    """Print it; returns the exit code. Raises BadInput for a name that no host knows."""
    lines = _LINES if asked.lines is None and asked.since is None else asked.lines
    with contextlib.suppress(KeyboardInterrupt), host_shells(asked.inventory) as shells:
        journals = dict(_journals(in_force(shells, print), asked.name))
        found = [
            (entry, host) for host, journal in journals.items() for entry in journal.read(lines, asked.since)
        ]
        _print(found, several=len(journals) > 1)
        while asked.follow:
            sleep(_POLL_SECONDS)
            found = [(entry, host) for host, journal in journals.items() for entry in journal.more()]
            _print(found, several=len(journals) > 1)
    return DONE


def _journals(found: InForce, name: str) -> Iterator[tuple[str, Journal]]:
    for host in found.chosen((name,)):
        units = found.controls[host].units[name]
        yield host, Journal(host, found.shells[host], parts(units))


def parts(units: tuple[ManagedUnit, ...]) -> Mapping[str, str]:
    """What each unit's lines begin with, the first one's with nothing."""
    first = units[0].name
    return {unit.unit: "" if unit is units[0] else unit.name.removeprefix(f"{first}-") for unit in units}


def _print(found: list[tuple[Entry, str]], *, several: bool) -> None:
    """In the order of time, by this side's clock's zone."""
    for entry, host in sorted(found, key=lambda each: each[0].at):
        at = datetime.fromtimestamp(entry.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        who = " ".join(filter(None, (host if several else "", entry.part)))
        print(f"{at} {f'{who}: ' if who else ''}{entry.text}", flush=True)
