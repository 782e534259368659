"""`make bench`: what exact placement costs, and what greedy placement leaves over on the same instances.

`labctl place` as a whole process, against an interpreter that only imports typer and pydantic; then the solver against
the straightforward CP-SAT model of the tests, on generated problems. Nothing about a time is asserted; values that the
two solvers prove and that differ end the benchmark.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TypeVar

from labctl.place.problem import Problem, Solution, Value
from labctl.place.problem_json import dump
from labctl.place.problem_limits import placed_options
from labctl.place.solver import Budget, solve
from tests.bench.measurement import Ratio, take_turns
from tests.bench.place_greedy import Greedy, first_fit_decreasing, most_free_first, spread, unplaced
from tests.labctl.place.instances import BENCH, LARGE, instance
from tests.labctl.place.reference_cp_sat import Reference

T = TypeVar("T")
ROUNDS = 11
STARTUP_AIM, SOLVER_AIM = 4.0, 0.5
PLACE = ("-m", "labctl", "place", "workloads/home.yaml", "--rig", "workloads/rigs/quad-3090-epyc.yaml")
IMPORTS = ("-c", "import typer, pydantic")
# How full the cards would be if every workload got its first variant, roughly.
FILLS = (0.4, 0.6)
BUDGET = Budget(deterministic_time=40)
# Per tier, and there are up to eleven of them.
REFERENCE_BUDGET = 10.0
GREEDY: Mapping[str, Greedy] = {
    "first-fit decreasing": first_fit_decreasing,
    "most free first (Ollama)": most_free_first,
    "spread (GPUStack)": spread,
}


@dataclass(frozen=True)
class Compared:
    """One problem, solved twice. seconds: ours. plain_proven: else `plain_seconds` is where its budget ended."""

    seconds: float
    plain_seconds: float
    solution: Solution
    plain_proven: bool

    @property
    def ratio(self) -> float:
        """Ours over theirs; where they stopped at their budget it is less than that."""
        return self.seconds / self.plain_seconds


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """What it returns, and the seconds that took."""
    start = time.perf_counter()
    return do(), time.perf_counter() - start


def startup(rounds: int = ROUNDS, *, command: tuple[str, ...] = PLACE) -> Ratio:
    """`labctl place` against an interpreter with the libraries it stands on, whole processes, taking turns."""
    environment = dict(os.environ)
    # As an installed program has it: byte code is kept, from the round that is not counted on.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, env=environment)
    taken = take_turns(
        {
            "place": partial(run, [sys.executable, *command]),
            "imports": partial(run, [sys.executable, *IMPORTS]),
        },
        rounds=rounds,
    )
    return Ratio(taken["place"], taken["imports"])


def compare(problem: Problem, budget: Budget = BUDGET, plain_budget: float = REFERENCE_BUDGET) -> Compared:
    """Both solvers on one problem. Raises AssertionError where both prove their values, and these differ."""
    reference = Reference(json.loads(dump(problem)), plain_budget)
    wanted, plain_seconds = timed(reference.solve)
    solution, seconds = timed(lambda: solve(problem, budget))
    found = [list(each.value) if isinstance(each.value, tuple) else each.value for each in solution.tiers]
    if solution.optimal and reference.proven and found != wanted:
        raise AssertionError(f"{found} instead of {wanted}")
    return Compared(seconds, plain_seconds, solution, reference.proven)


def gaps(solution: Solution) -> str:
    """Per tier: closed, or how far value and bound are apart."""
    return " ".join(
        f"{number}:{'proven' if tier.value == tier.bound else f'{shown(tier.value)}/{shown(tier.bound)}'}"
        for number, tier in enumerate(solution.tiers, 1)
    )


def shown(value: Value) -> str:
    """A tier's value or bound in one word."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def left_over(problem: Problem, solution: Solution) -> str:
    """How many workloads have no place: in this answer, and as others place."""
    count = len(problem.workloads)
    others = (f"{name} {len(unplaced(problem, greedy))}" for name, greedy in GREEDY.items())
    exact = count - len(placed_options(problem, solution.choice))
    return f"left over of {count}: exact {exact}, {', '.join(others)}"


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="instances per kind")
    seeds = parser.parse_args().seeds
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    print(f"{os.cpu_count()} cores; their load before: {os.getloadavg()[0]:.1f}")
    _startup()
    _against_the_plain_model(seeds)
    _large(max(1, seeds // 2))
    return 0


def _startup() -> None:
    found = startup()
    print(
        f"\n  labctl place workloads/home.yaml on 4 × RTX 3090, whole processes, medians of {ROUNDS}\n"
        f"    labctl place                          {found.first}\n"
        f"    python -c 'import typer, pydantic'    {found.second}\n"
        f"    {f'ratio, aim {STARTUP_AIM:g} or less':<36}  {found}"
    )


def _against_the_plain_model(seeds: int) -> None:
    print("\n  8 GPUs × 40 workloads with variants, against the straightforward CP-SAT model")
    ratios, proven = [], 0
    for fill in FILLS:
        for seed in range(seeds):
            problem = instance(seed, replace(BENCH, fill=fill), exact=True)
            found = compare(problem)
            proven += found.solution.optimal
            ratios.append(found.ratio)
            state = "proven" if found.solution.optimal else gaps(found.solution)
            plain = "proven" if found.plain_proven else "not proven in its budget"
            print(
                f"    fill {fill}, seed {seed}, {len(problem.options)} options\n"
                f"      labctl {found.seconds:7.2f} s  {state}\n"
                f"      plain  {found.plain_seconds:7.2f} s  {plain}\n"
                f"      {left_over(problem, found.solution)}"
            )
    print(
        f"    {proven} of {len(ratios)} proven optimal; ratio, aim {SOLVER_AIM:g} or less: {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def _large(seeds: int) -> None:
    print("\n  32 GPUs on 8 hosts × 150 workloads: tier 1 is to be proven, of the others the gap is shown")
    for seed in range(seeds):
        problem = instance(seed, LARGE, exact=True)
        solution, seconds = timed(partial(solve, problem, BUDGET))
        print(
            f"    seed {seed}, {len(problem.options)} options: {seconds:.1f} s\n"
            f"      {gaps(solution)}\n"
            f"      {left_over(problem, solution)}"
        )


if __name__ == "__main__":
    sys.exit(main())
