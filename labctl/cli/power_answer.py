"""Reads the cards, tries the limits on them, and prints what becomes of speed and power supply."""

import json
from dataclasses import dataclass

from labctl.cli.power_document import power_document
from labctl.cli.power_text import power_text
from labctl.cli.power_tried import tried
from labctl.edges import catalog
from labctl.edges.rigs import is_number, read_rig
from labctl.errors import ANSWER_IS_NO, DONE, FAILED, BadInput
from labctl.power.card import powered
from labctl.power.limits import Wanted, limits
from labctl.power.names import ALL
from labctl.rig.live import LiveHost, planned


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl power`, as it was written."""

    inventory: str | None
    rig: str | None
    limits: tuple[str, ...]
    budget: int | None
    as_json: bool


def answer(asked: Asked) -> int:
    """Print the answer; returns the exit code. Raises BadInput for limits that no card there can have."""
    wanted = _wanted(asked)
    hosts = _hosts(asked)
    if wanted.budget_watts is not None and len([each for each in hosts if each.host.cards]) > 1:
        raise BadInput(
            "a budget is for the cards of one host",
            where="--budget",
            found=f"{len(hosts)} hosts: {', '.join(each.host.name for each in hosts)}",
            expected="one",
            hint="name one: INVENTORY:HOST",
        )
    cards = [powered(card, catalog.power_curve(card.gpu.name)) for each in hosts for card in each.host.cards]
    watts = limits(cards, wanted) if cards else {}
    found = tuple(tried(each, {card.id: card for card in cards}, watts) for each in hosts)
    if asked.as_json:
        print(json.dumps(power_document(found, wanted, live=not asked.rig), indent=2))
    else:
        print(power_text(found, wanted), end="")
    if any(each.live.problems for each in found):
        return FAILED
    return ANSWER_IS_NO if wanted and any(each.power.ok is False for each in found) else DONE


def _hosts(asked: Asked) -> tuple[LiveHost, ...]:
    if asked.inventory and asked.rig:
        raise BadInput(
            "two machines are named",
            where="--rig",
            found="an inventory and --rig",
            hint="leave one of them out",
        )
    if asked.rig:
        return tuple(planned(host) for host in read_rig(asked.rig).hosts)
    from labctl.edges.machines import of_inventory, this_machine

    return of_inventory(asked.inventory) if asked.inventory else (this_machine(),)


def _wanted(asked: Asked) -> Wanted:
    found: dict[str, int] = {}
    for text in asked.limits:
        name, equals, watts = text.rpartition("=")
        if not is_number(watts) or not int(watts) or (equals and not name):
            raise BadInput(
                "not a limit", where="--set", found=text, expected="WATTS, MODEL=WATTS or UUID=WATTS",
                hint="for example: --set rtx-3090=280",
            )  # fmt: skip
        if (name or ALL) in found:
            raise BadInput("a limit is given twice", where="--set", found=text, hint="leave one of them out")
        found[name or ALL] = int(watts)
    if asked.budget is not None and asked.budget < 1:
        raise BadInput("not a budget", where="--budget", found=str(asked.budget), expected="watts, 1 or more")
    return Wanted(found, asked.budget, "--set", "--budget")
