"""Asks hosts what they are, and decides which driver each of them gets."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from labctl.driver import pci_ids, report, table
from labctl.driver.decision import Preflight, Request, preflight
from labctl.driver.host import DriverHost
from labctl.driver.survey import SCRIPT
from labctl.edges import catalog
from labctl.edges.machines import NoAnswer, answers
from labctl.errors import Failed

_SECONDS = 120
Value = TypeVar("Value")


@dataclass(frozen=True)
class Unreached:
    """A host that did not answer."""

    name: str
    problem: str


@cache
def decision_table() -> table.Table:
    """The table that labctl carries."""
    return _carried("table.yaml", table.parse)


@cache
def card_ids() -> pci_ids.PciIds:
    """The cards' PCI ids that labctl carries."""
    return _carried("pci_ids.yaml", pci_ids.parse)


def decide(host: DriverHost, request: Request) -> Preflight:
    """Which driver a host gets, or what stands in the way."""
    titles = {card.name: card.title for card in catalog.gpus()}
    return preflight(host, decision_table(), card_ids(), request, titles)


def preflights(inventory: str | None, request: Request) -> tuple[Preflight | Unreached, ...]:
    """This machine, or the hosts of an inventory (`FILE`, `FILE:HOST`), one remote command each.

    Raises BadInput for an inventory that cannot be used, Failed where this machine does not answer.
    """
    if inventory is None:
        return (decide(this_machine(), request),)
    found: list[Preflight | Unreached] = []
    for name, said in answers(inventory, SCRIPT).items():
        if isinstance(said, NoAnswer):
            found.append(Unreached(name, said.problem))
            continue
        try:
            host = report.parse(said)
        except Failed as problem:
            found.append(Unreached(name, str(problem)))
        else:
            # `@local` goes by its own name.
            found.append(decide(host if name.startswith("@") else replace(host, name=name), request))
    return tuple(found)


def this_machine() -> DriverHost:
    """This machine. Raises Failed where it does not answer."""
    try:
        ran = subprocess.run(
            ["sh", "-c", SCRIPT],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(
            "this machine could not be read", found=str(error), hint="does `sh` work here?"
        ) from error
    return report.parse(ran.stdout)


def _carried(name: str, parse: Callable[[str, str], Value]) -> Value:
    return parse((catalog.ROOT / "driver" / name).read_text(encoding="utf-8"), f"catalog/driver/{name}")
