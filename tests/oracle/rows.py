"""Recorded answers of the oracle, and how an estimate is held against an answer."""

import json
from collections.abc import Sequence
from pathlib import Path

from labctl.estimate.claim import MIB, Estimate
from tests.oracle.cases import Case
from tests.oracle.fit_params import Row

RECORDED = Path(__file__).parents[1] / "cases" / "llama_cpp"
# How much higher and lower than the program an estimate of compute buffers may be.
BOUNDS = (0.10, 0.02)
EXACT = (0.0, 0.0)
Numbers = list[list[int]]


def recorded(model: str) -> dict[str, Numbers]:
    """Key of a case → weights, context and compute in MiB, per card and then of the host."""
    rows: dict[str, Numbers] = json.loads((RECORDED / f"{model}.json").read_text())["rows"]
    return rows


def numbers(rows: Sequence[Row]) -> Numbers:
    """As they are recorded."""
    return [[row.weights_mib, row.context_mib, row.compute_mib] for row in rows]


def complaints(
    case: Case, found: Estimate, expected: Numbers, *, compute: tuple[float, float]
) -> list[str]:
    """Where an estimate differs from the oracle by more than it may: weights and cache to the MiB that is printed.

    compute: shares by which compute may be higher and lower; both 0: to the MiB, too.
    """
    said = []
    places = (*found.cards, found.host)
    assert len(places) == len(expected), case.key
    higher, lower = compute
    for place, (weights, context, printed) in zip(places, expected, strict=True):
        where = f"{case.model} {case.key}: {place.name}"
        for part, wanted in (("weights", weights), ("kv_cache", context)):
            mib = sum(term.expected for term in place.terms if term.part == part) // MIB
            if mib != wanted:
                said.append(f"{where}: {part} {mib} MiB, oracle {wanted}")
        planned = place.of("compute") / MIB
        # What is printed was rounded down, so the true value is up to 1 MiB above it.
        if not printed * (1 - lower) <= planned < (printed + 1) * (1 + higher):
            said.append(
                f"{where}: compute {planned:.1f} MiB, oracle {printed} ({planned / max(printed, 1) - 1:+.1%})"
            )
    return said
