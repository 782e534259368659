"""Recorded answers of the oracle, and how an estimate is held against an answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from labctl.estimate.claim import MIB, Estimate
from tests.oracle.cases import Case
from tests.oracle.fit_params import Row

RECORDED = Path(__file__).parents[1] / "cases" / "llama_cpp"


class Bounds(NamedTuple):
    """How much higher and lower than the program an estimate of compute buffers may be; slack_mib: either way."""

    higher: float
    lower: float
    slack_mib: float = 0


BOUNDS = Bounds(0.10, 0.02)
EXACT = Bounds(0, 0)
# RPC devices align results to 64 bytes, CUDA and the estimate to 128: in buffers of few MiB that moves a hole or two.
BY_CHANCE = Bounds(0.10, 0.02, slack_mib=2)
Numbers = list[list[int]]


def recorded(model: str) -> dict[str, Numbers]:
    """Key of a case → weights, context and compute in MiB, per card and then of the host."""
    rows: dict[str, Numbers] = json.loads((RECORDED / f"{model}.json").read_text())["rows"]
    return rows


def numbers(rows: Sequence[Row]) -> Numbers:
    """As they are recorded."""
    return [[row.weights_mib, row.context_mib, row.compute_mib] for row in rows]


def complaints(case: Case, found: Estimate, expected: Numbers, *, compute: Bounds) -> list[str]:
    """Where an estimate differs from the oracle by more than it may: weights and cache to the MiB that is printed.

    compute: what holds for compute; `EXACT`: to the MiB, too.
    """
    said = []
    places = (*found.cards, found.host)
    assert len(places) == len(expected), case.key
    higher, lower, slack = compute
    for place, (weights, context, printed) in zip(places, expected, strict=True):
        where = f"{case.model} {case.key}: {place.name}"
        for part, wanted in (("weights", weights), ("kv_cache", context)):
            mib = sum(term.expected for term in place.terms if term.part == part) // MIB
            if mib != wanted:
                said.append(f"{where}: {part} {mib} MiB, oracle {wanted}")
        planned = place.of("compute") / MIB
        # What is printed was rounded down, so the true value is up to 1 MiB above it.
        if not printed * (1 - lower) - slack <= planned < (printed + 1) * (1 + higher) + slack:
            said.append(
                f"{where}: compute {planned:.1f} MiB, oracle {printed} ({planned / max(printed, 1) - 1:+.1%})"
            )
    return said
