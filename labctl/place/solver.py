"""Solves a placement problem exactly.

Small problems are proven optimal by branch and bound in plain Python (`solver_search`), before a library would even be
imported. What that does not settle is made better by `solver_greedy` and goes from there to CP-SAT (`solver_tiers`),
which works through the tiers one by one. All do the same work every time: sorted input, one thread, and budgets that
count work.
"""

from dataclasses import dataclass

from labctl.place.problem import Choice, Problem, Solution, Tier, Value
from labctl.place.problem_check import check
from labctl.place.solver_instance import Instance
from labctl.place.solver_search import search
from labctl.place.tiers import values


@dataclass(frozen=True)
class Budget:
    """How much work an answer may cost.

    steps: candidates that the search in Python looks at. deterministic_time: CP-SAT's unit of work, about a second.
    """

    steps: int = 15_000
    deterministic_time: float = 20.0


def solve(problem: Problem, budget: Budget = Budget()) -> Solution:
    """The best choice, with value and bound of each tier; the best found where the budget ends first.

    Raises `BadInput` for a problem that makes no sense (`problem_check`).
    """
    instance = Instance(check(problem))
    found = search(instance, budget.steps)
    if found.proven:
        choice = instance.choice(found.chosen)
        return _solution(problem, choice, values(problem, choice))
    from labctl.place.solver_greedy import improved
    from labctl.place.solver_tiers import TierSolver

    start = improved(instance, found.chosen)
    solved = TierSolver(instance, start, budget.deterministic_time).solve()
    return _solution(problem, instance.choice(solved.chosen), solved.bounds)


def _solution(problem: Problem, choice: Choice, bounds: tuple[Value, ...]) -> Solution:
    tiers = tuple(Tier(value, bound) for value, bound in zip(values(problem, choice), bounds, strict=True))
    return Solution(choice, tiers, optimal=all(tier.value == tier.bound for tier in tiers))
