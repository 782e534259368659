"""Puts a workloads file and a rig to the solver, and prints what it answers."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from labctl.cli.place_document import place_document
from labctl.cli.place_text import place_text
from labctl.cli.terminal import here
from labctl.edges.machines import rig as live_rig
from labctl.edges.rigs import read_rig
from labctl.edges.whole_file import write_whole
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.place.placement import Question, place
from labctl.place.problem_json import dump
from labctl.rig.rig import Rig


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
    as_json: bool
    html: Path | None = None


def answer(asked: Asked) -> int:
    """Print the answer; returns the exit code. Raises BadInput for files that cannot be meant as they stand."""
    placement = place(_question(asked))
    if asked.problem is not None:
        write_whole(asked.problem, dump(placement.problem), "the problem")
    if asked.html is not None:
        from labctl.cli.place_page import place_page

        write_whole(asked.html, place_page(placement), "the page")
        print(f"The page is in {asked.html}.", file=sys.stderr)
    if asked.as_json:
        print(json.dumps(place_document(placement), indent=2))
    else:
        print(place_text(placement, here()), end="")
    return ANSWER_IS_NO if placement.refused else DONE


def _question(asked: Asked) -> Question:
    wanted = wishes(read_workloads(asked.workloads), asked.workloads)
    return Question(
        wanted, _rig(asked.rig, asked.inventory), rebalance=asked.rebalance, where=asked.workloads
    )


def _rig(file: str | None, inventory: str | None) -> Rig:
    if file is not None and inventory is not None:
        raise BadInput("cards are given twice", where="--inventory", hint="either --rig or --inventory")
    return read_rig(file) if file is not None else live_rig(inventory)
