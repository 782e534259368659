"""The whole question and its answer: workloads and a rig in, what goes where out."""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.place.as_needed import solved
from labctl.place.build import build
from labctl.place.problem import Option, Problem, Solution
from labctl.place.problem_check import check
from labctl.place.problem_limits import Usage
from labctl.place.question import Question, refuse_unknown
from labctl.place.solver import Budget
from labctl.place.solver_explain import Refused, explain

__all__ = ["Placement", "Question", "place", "problem_of"]


@dataclass(frozen=True)
class Placement:
    """What goes where, and every workload that has no place.

    problem: as much of the complete problem (`problem_of`) as the answer depends on; all options of what has no place.
    """

    question: Question
    problem: Problem
    solution: Solution
    refused: tuple[Refused, ...]

    @property
    def usage(self) -> Usage:
        """What the placed workloads take of each card and host."""
        return Usage(self.problem, self.solution.choice)

    @property
    def placed(self) -> Mapping[str, Option]:
        """The chosen option of every workload that has one, by name."""
        return {
            name: self.problem.options[index]
            for name, index in sorted(self.solution.choice.items())
            if index is not None
        }


def problem_of(question: Question) -> Problem:
    """All that the solver may know. Raises BadInput for workloads that no rig could ever hold together."""
    refuse_unknown(question)
    problem = build(
        question.wishes, question.rig, incumbents=question.incumbents, rebalance=question.rebalance
    )
    return check(problem, question.where)


def place(question: Question, budget: Budget | None = None) -> Placement:
    """The best placement, proven so unless the budget ends first. Raises BadInput as `problem_of` does."""
    refuse_unknown(question)
    problem, solution = solved(question, budget or Budget())
    return Placement(question, problem, solution, explain(problem, solution))
