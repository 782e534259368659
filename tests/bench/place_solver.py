"""Prints how long exact placement takes, against the straightforward model, and what greedy placement leaves over.

Run: python -m tests.bench.place_solver [--seeds N]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TypeVar

from labctl.place.problem import Problem, Solution, Value
from labctl.place.problem_json import dump
from labctl.place.problem_limits import placed_options
from labctl.place.solver import Budget, solve
from tests.bench.place_greedy import first_fit_decreasing, most_free_first, spread, unplaced
from tests.labctl.place.instances import BENCH, LARGE, instance
from tests.labctl.place.reference_cp_sat import Reference

T = TypeVar("T")
# How full the cards would be if every workload got its first variant, roughly.
FILLS = (0.4, 0.6)
BUDGET = Budget(deterministic_time=40)
# Per tier, and there are up to eleven of them.
REFERENCE_BUDGET = 10.0
GREEDY = {
    "first-fit decreasing": first_fit_decreasing,
    "most free first (Ollama)": most_free_first,
    "spread (GPUStack)": spread,
}


def timed(do: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return do(), time.perf_counter() - start


def cold_start(module: str) -> float:
    """Seconds that an interpreter takes to import something and end."""
    return median(
        timed(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))[1]
        for _ in range(5)
    )


def gaps(solution: Solution) -> str:
    """Per tier: closed, or how far value and bound are apart."""
    return " ".join(
        f"{number}:{'proven' if tier.value == tier.bound else f'{shown(tier.value)}/{shown(tier.bound)}'}"
        for number, tier in enumerate(solution.tiers, 1)
    )


def shown(value: Value) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def compare(problem: Problem) -> tuple[float, float, bool]:
    """Seconds of both, and whether both proved everything."""
    reference = Reference(json.loads(dump(problem)), REFERENCE_BUDGET)
    wanted, reference_seconds = timed(reference.solve)
    solution, seconds = timed(lambda: solve(problem, BUDGET))
    found = [list(each.value) if isinstance(each.value, tuple) else each.value for each in solution.tiers]
    both = solution.optimal and reference.proven
    if both and found != wanted:
        raise AssertionError(f"{found} instead of {wanted}")
    print(
        f"    labctl {seconds:7.2f} s {'proven' if solution.optimal else gaps(solution)}\n"
        f"    plain  {reference_seconds:7.2f} s {'proven' if reference.proven else 'not proven'}"
    )
    return seconds, reference_seconds, both


def left_over(problem: Problem, solution: Solution) -> None:
    count = len(problem.workloads)
    print(f"    left over of {count}: exact {count - len(placed_options(problem, solution.choice))}", end="")
    for name, greedy in GREEDY.items():
        print(f", {name} {len(unplaced(problem, greedy))}", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4, help="instances per kind")
    seeds = parser.parse_args().seeds
    print("Start-up, median of 5")
    for module in ("json", "typer, pydantic", "labctl.place.solver", "ortools.sat.python.cp_model_helper"):
        print(f"  import {module:40} {cold_start(module):6.3f} s")
    print("8 GPUs × 40 workloads")
    ratios = []
    for fill in FILLS:
        for seed in range(seeds):
            problem = instance(seed, replace(BENCH, fill=fill), exact=True)
            print(f"  fill {fill}, seed {seed}, {len(problem.options)} options")
            seconds, reference_seconds, both = compare(problem)
            if both:
                ratios.append(seconds / reference_seconds)
            left_over(problem, solve(problem, Budget(deterministic_time=4)))
    if ratios:
        print(f"  labctl / plain where both proved all: median {median(ratios):.2f} of {len(ratios)}")
    print("32 GPUs on 8 hosts × 150 workloads")
    for seed in range(max(1, seeds // 2)):
        problem = instance(seed, LARGE, exact=True)
        solution, seconds = timed(lambda problem=problem: solve(problem, BUDGET))  # type: ignore[misc] # bound at once
        print(f"  seed {seed}, {len(problem.options)} options: {seconds:.1f} s\n    {gaps(solution)}")
        left_over(problem, solution)


if __name__ == "__main__":
    main()
