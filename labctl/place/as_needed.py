"""Solves a question with no more options than its answer depends on: most are never the best, and each takes time.

The tiers are those of the complete problem. Each workload has the options of some ranks made (`Offering`). For those
left out there are hopes: optimistic options on the same cards, or on no card, with the least rank among them, the RAM,
disk and ports that all of them take, no claim, and more speed than any can have. In any answer of the complete problem,
each option that was left out can be replaced by a hope of its workload on its host: no limit is newly broken, since a
hope takes a part of the same and nothing else, and no tier gets worse. (Tier 1 counts the same. Tier 2 too: options
that leave an incumbent as it runs are never left out. Tiers 3 and 4 by rank and speed. 5 and 6 because it is on the
same cards or on none, 7 because it claims nothing.) So the best with hopes is at least as good as the best of the
complete problem; where it uses none of them it is an answer of the complete problem too, and therefore the best there.
Where it does, that workload's options are widened and all is solved again, until none is left out at the latest. A
bound that is proven with hopes holds for the complete problem in the same way.

Two rules look at more than the chosen options. A stateful workload stays on its host as long as it has any option
there; hopes count, so it is sent away only when nothing is left out, and kept for good only by an option that was made.
A refusal says what the least demanding variant needs: what has no place is made complete, too.
"""

from collections.abc import Iterator
from dataclasses import replace

from labctl.place.build import assembled
from labctl.place.options import Offering
from labctl.place.problem import Option, Problem, Solution
from labctl.place.problem_check import check
from labctl.place.question import Question
from labctl.place.solver import Budget, solve


def solved(question: Question, budget: Budget) -> tuple[Problem, Solution]:
    """The problem as far as it was made, and its best choice: the tiers, values and bounds, of the complete problem.

    Raises BadInput as `placement.problem_of` does.
    """
    running = {name: each.variant_id for name, each in question.incumbents.items()}
    offerings = {
        name: Offering(wish, question.rig, running.get(name))
        for name, wish in ((wish.workload.name, wish) for wish in question.wishes)
    }
    for name, offering in offerings.items():
        _begin(question, name, offering)
    while True:
        problem, left_out = _made(question, offerings)
        hopeful = replace(problem, options=(*problem.options, *left_out))
        solution = solve(check(hopeful, question.where), budget)
        wanting = list(_wanting(len(problem.options), solution, offerings))
        if not wanting:
            return problem, solution
        if not solution.optimal:
            # Solving is what takes long here, and a budget is not to be spent many times over.
            wanting = list(offerings.values())
        for offering in wanting:
            if solution.optimal:
                offering.widen()
            else:
                offering.complete()


def _begin(question: Question, name: str, offering: Offering) -> None:
    offering.widen()
    incumbent = question.incumbents.get(name)
    if incumbent is not None:
        offering.make_like(incumbent.variant_id)


def _made(question: Question, offerings: dict[str, Offering]) -> tuple[Problem, tuple[Option, ...]]:
    offers = [(wish, offerings[wish.workload.name].offered) for wish in question.wishes]
    problem = assembled(offers, question.rig, incumbents=question.incumbents, rebalance=question.rebalance)
    return problem, tuple(option for each in offerings.values() for option in each.left_out())


def _wanting(n_options: int, solution: Solution, offerings: dict[str, Offering]) -> Iterator[Offering]:
    """Those whose left out options may matter: a hope was chosen, or there is none to be refused with."""
    for name, index in solution.choice.items():
        if (index is None or index >= n_options) and not offerings[name].is_complete:
            yield offerings[name]
