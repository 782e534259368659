"""Puts a workloads file and a rig to the solver, and prints what it answers."""

import json
from pathlib import Path

from labctl.cli.place_document import place_document
from labctl.cli.place_text import place_text
from labctl.edges.machines import rig as live_rig
from labctl.edges.rigs import read_rig
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.errors import ANSWER_IS_NO, DONE, BadInput, Failed
from labctl.place.build import build
from labctl.place.problem_check import check
from labctl.place.problem_json import dump
from labctl.place.solver import solve
from labctl.place.solver_explain import explain


def answer(
    workloads: str,
    rig: str | None,
    inventory: str | None,
    problem_file: Path | None,
    *,
    rebalance: bool,
    as_json: bool,
) -> int:
    """Print the answer; returns the exit code. Raises BadInput for files that cannot be meant as they stand."""
    if rig is not None and inventory is not None:
        raise BadInput("cards are given twice", where="--inventory", hint="either --rig or --inventory")
    wanted = wishes(read_workloads(workloads), workloads)
    cards = read_rig(rig) if rig is not None else live_rig(inventory)
    problem, _ = build(wanted, cards, rebalance=rebalance)
    check(problem, workloads)
    if problem_file is not None:
        _write(problem_file, dump(problem))
    solution = solve(problem)
    refused = explain(problem, solution)
    if as_json:
        print(json.dumps(place_document(problem, solution, refused, cards), indent=2))
    else:
        print(place_text(problem, solution, refused, cards, workloads), end="")
    return ANSWER_IS_NO if refused else DONE


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed("the problem cannot be written", where=str(path), found=error.strerror) from error
