"""Puts a workloads file and a rig to the solver, and prints what it answers."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.cli.assumed import Assumed, assumed
from labctl.cli.place_document import place_document
from labctl.cli.place_plan import (
    Kept,
    PlansAsked,
    change_sentences,
    gone,
    kept,
    planned,
    planned_document,
    planned_text,
    read_kept,
)
from labctl.cli.place_text import place_text
from labctl.cli.terminal import here, waiting
from labctl.edges.rigs import read_rig
from labctl.edges.whole_file import write_whole
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.place.faster import faster
from labctl.place.placement import Placement, Question, place, problem_of
from labctl.place.problem_json import dump
from labctl.place.suggestion import Suggestion
from labctl.rig.rig import Rig
from labctl.workloads.workload import Workload


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl place`, as it was written.

    problem, html: where the solver's input and the page for a browser are to be written.
    """

    workloads: str
    rig: str | None
    inventory: str | None
    problem: Path | None
    rebalance: bool
    what_if: Assumed
    plans: PlansAsked
    as_json: bool
    html: Path | None = None


def answer(asked: Asked) -> int:
    """Print the answer; returns the exit code. Raises BadInput for files that cannot be meant as they stand."""
    # The file first: a typo in its name is found before a machine is asked.
    workloads = read_workloads(asked.workloads)
    plan, there = read_kept(asked.plans), rig_of(asked.rig, asked.inventory)
    rig, assumptions = assumed(there, asked.what_if, gone(plan, there))
    keeping = kept(asked.plans, plan, rig)
    placement = place(_question(asked, workloads, rig, assumptions, keeping))
    if asked.problem is not None:
        write_whole(asked.problem, dump(problem_of(placement.question)), "the problem")
    found = planned(placement, keeping, asked.plans)
    helps, slow = _suggested(placement), faster(placement)
    if asked.html is not None:
        from labctl.cli.place_page import place_page

        write_whole(asked.html, place_page(placement, change_sentences(found), helps, slow), "the page")
        print(f"The page is in {asked.html}.", file=sys.stderr)
    if asked.as_json:
        print(json.dumps(place_document(placement, helps, slow) | planned_document(found), indent=2))
    else:
        terminal = here()
        text = place_text(placement, terminal, helps, slow)
        print(text + terminal.spelled(planned_text(found, terminal.columns)), end="")
    return ANSWER_IS_NO if placement.refused else DONE


def _suggested(placement: Placement) -> Mapping[str, Sequence[Suggestion]]:
    """What would give the refused a place; the catalogue is only read for those."""
    if not placement.refused:
        return {}
    from labctl.edges.alternatives import CatalogueAlternatives
    from labctl.place.suggestions import suggestions

    with waiting("Looking for what would give the rest a place"):
        return suggestions(placement, CatalogueAlternatives(placement.question.where))


def _question(
    asked: Asked, workloads: Sequence[Workload], rig: Rig, assumptions: tuple[str, ...], keeping: Kept | None
) -> Question:
    return Question(
        wishes(workloads, asked.workloads, {card.gpu.name for card in rig.cards}),
        rig,
        keeping.incumbents if keeping else {},
        rebalance=asked.rebalance,
        where=asked.workloads,
        assumptions=assumptions,
        rig_where=asked.rig,
    )


def rig_of(file: str | None, inventory: str | None) -> Rig:
    """The rig of a file, of an inventory, or of this machine. Raises BadInput where both are given."""
    if file is not None and inventory is not None:
        raise BadInput("cards are given twice", where="--inventory", hint="either --rig or --inventory")
    if file is not None:
        return read_rig(file)
    from labctl.edges.machines import rig as live_rig

    return live_rig(inventory)
