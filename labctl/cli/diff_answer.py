"""Reads what `labctl diff` is to compare, and prints how it differs."""

import json
from dataclasses import dataclass

from labctl.cli.diff_document import live_document, plans_document
from labctl.cli.diff_live_text import live_text
from labctl.cli.diff_text import plans_text
from labctl.edges.machines import of_inventory, this_machine
from labctl.edges.plan_file import read_plan
from labctl.edges.rigs import read_rig
from labctl.errors import ANSWER_IS_NO, DONE, FAILED, BadInput
from labctl.plan.diff import difference
from labctl.plan.live import Seen, against_live, is_read
from labctl.rig.live import planned

LIVE = "live"


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl diff`, as it was written."""

    plan: str
    other: str
    inventory: str | None
    rig: str | None
    as_json: bool


def answer(asked: Asked) -> int:
    """Print the answer; returns the exit code. Raises BadInput for plans and rigs that cannot be read."""
    if asked.other == LIVE:
        return _live(asked)
    if asked.inventory or asked.rig:
        raise BadInput(
            "two plans are compared, and machines named beside them",
            where="--inventory" if asked.inventory else "--rig",
            found=asked.inventory or asked.rig,
            hint=f"`labctl diff {asked.plan} live` compares with a machine",
        )
    before, after = read_plan(asked.plan), read_plan(asked.other)
    found = difference(before, after)
    if asked.as_json:
        print(json.dumps(plans_document(found, asked.plan, asked.other), indent=2))
    else:
        print(plans_text(found, (before, after), (asked.plan, asked.other)), end="")
    return DONE if found.same else ANSWER_IS_NO


def _live(asked: Asked) -> int:
    plan = read_plan(asked.plan)
    seen = _seen(asked)
    found = against_live(plan, seen)
    problems = tuple(f"{each.host.name}: {problem}" for each in seen.hosts for problem in each.problems)
    if asked.as_json:
        print(json.dumps(live_document(found, asked.plan, seen, problems), indent=2))
    else:
        print(live_text(found, plan, asked.plan, seen, problems), end="")
    if not all(map(is_read, seen.hosts)):
        return FAILED
    return DONE if found.same else ANSWER_IS_NO


def _seen(asked: Asked) -> Seen:
    if asked.inventory and asked.rig:
        raise BadInput("cards are given twice", where="--rig", hint="either --rig or --inventory")
    if asked.rig:
        return Seen(
            tuple(planned(host) for host in read_rig(asked.rig).hosts), everything=True, running=False
        )
    if asked.inventory:
        hosts = of_inventory(asked.inventory)
        return Seen(hosts, everything=_is_whole(asked.inventory), running=True)
    return Seen((this_machine(),), everything=False, running=True)


def _is_whole(inventory: str) -> bool:
    from labctl.edges.inventory_argument import split

    return split(inventory)[1] is None
