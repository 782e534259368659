"""The whole question and its answer: workloads and a rig in, what goes where out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.place.build import build
from labctl.place.options import Wish
from labctl.place.problem import Incumbent, Option, Problem, Solution
from labctl.place.problem_check import check
from labctl.place.problem_limits import Usage
from labctl.place.solver import Budget, solve
from labctl.place.solver_explain import Refused, explain
from labctl.rig.rig import Rig


@dataclass(frozen=True)
class Question:
    """What is asked. incumbents: where what runs now is, by workload; rebalance: it may move if that is better.

    where: what a message about it names, usually the workloads file. assumptions: how the rig differs from the one that
    is there, in words.
    """

    wishes: tuple[Wish, ...]
    rig: Rig
    incumbents: Mapping[str, Incumbent] = field(default_factory=dict)
    rebalance: bool = False
    where: str = "workloads"
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What goes where, and every workload that has no place."""

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
    problem = build(
        question.wishes, question.rig, incumbents=question.incumbents, rebalance=question.rebalance
    )
    return check(problem, question.where)


def place(question: Question, budget: Budget | None = None) -> Placement:
    """The best placement, proven so unless the budget ends first. Raises BadInput as `problem_of` does."""
    problem = problem_of(question)
    solution = solve(problem, budget or Budget())
    return Placement(question, problem, solution, explain(problem, solution))
