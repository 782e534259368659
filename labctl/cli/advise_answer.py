"""Puts a workloads file, a rig and the GPU catalogue to the advice, and prints what it answers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.cli.advise_document import advise_document
from labctl.cli.advise_text import advise_text
from labctl.cli.assumed import Assumed, assumed
from labctl.cli.place_answer import rig_of
from labctl.cli.terminal import waiting
from labctl.edges import catalog
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.place.advice import advise
from labctl.place.placement import Question
from labctl.place.prices import Market, Money, market, money


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl advise`, as it was written."""

    workloads: str
    rig: str | None
    inventory: str | None
    budget: str | None
    prices: tuple[str, ...]
    what_if: Assumed
    as_json: bool


def answer(asked: Asked) -> int:
    """Print the answer; returns the exit code. Raises BadInput for what cannot be meant as it stands."""
    known = _market(asked.budget, asked.prices)
    workloads = read_workloads(asked.workloads)
    rig, assumptions = assumed(rig_of(asked.rig, asked.inventory), asked.what_if)
    wanted = wishes(workloads, asked.workloads)
    question = Question(wanted, rig, where=asked.workloads, assumptions=assumptions)
    with waiting("Going through the catalogue"):
        advice = advise(question, catalog.gpus(), known)
    if asked.as_json:
        print(json.dumps(advise_document(advice), indent=2))
    else:
        print(advise_text(advice), end="")
    helped = advice.found and not advice.beyond_mib
    return DONE if helped or not advice.before.refused else ANSWER_IS_NO


def _market(budget: str | None, prices: Iterable[str]) -> Market:
    try:
        limit = None if budget is None else money(budget)
    except BadInput as error:
        error.where = "--budget"
        raise
    given: dict[str, Money] = {}
    for words in prices:
        try:
            name, amount = _price(words)
        except BadInput as error:
            error.where = "--price"
            raise
        given[name] = amount
    return market(limit, given)


def _price(words: str) -> tuple[str, Money]:
    name, equals, amount = words.partition("=")
    if not equals:
        raise BadInput("not a price", found=words, expected="GPU=AMOUNT, as rtx-3090=750")
    return catalog.gpu(name).name, money(amount)
