"""Measured values as data, and estimates near one corrected by it.

Weights and caches are computed by the engines themselves, so a difference lies in what is reserved beside them: the
correction is added to that part, in proportion to how much of it the new estimate has.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term
from labctl.estimate.range import Range
from labctl.estimate.speed import Speed
from labctl.yaml_document import read

Meter = Literal["allocated", "reserved", "process", "board"]
# A measurement speaks for contexts up to twice and down to half its own.
NEAR = 2.0
# What is left uncertain about a corrected total, and a corrected speed: run to run, on one card.
TOTAL_SPREAD, SPEED_SPREAD = 0.03, 0.07
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class Measurement:
    """One run. total_mib: on the fullest card, by `meter`. build: of the engine; card: a catalogue name.

    allocated and reserved are torch's own counters, which know no CUDA context; process and board are nvidia-smi's.
    """

    engine: str
    build: str | None
    model: str
    quant: str
    card: str
    n_gpus: int
    context: int
    parallel: int
    kv_type: str
    meter: Meter | None
    total_mib: float | None
    tokens_per_second: float | None
    prompt_tokens_per_second: float | None
    source: str


class _Entry(BaseModel):
    model_config = _STRICT
    engine: str
    build: str | None = None
    model: str
    quant: str
    card: str
    n_gpus: int = Field(default=1, ge=1)
    context: int = Field(gt=0)
    parallel: int = Field(default=1, ge=1)
    kv_type: str = "f16"
    meter: Meter | None = None
    total_mib: float | None = Field(default=None, gt=0)
    tokens_per_second: float | None = Field(default=None, gt=0)
    prompt_tokens_per_second: float | None = Field(default=None, gt=0)
    source: str = Field(min_length=4)

    @model_validator(mode="after")
    def _something_was_measured(self) -> "_Entry":
        if (
            self.total_mib is None
            and self.tokens_per_second is None
            and self.prompt_tokens_per_second is None
        ):
            raise ValueError(
                "nothing was measured: give total_mib, tokens_per_second or prompt_tokens_per_second"
            )
        if (self.total_mib is None) != (self.meter is None):
            raise ValueError("total_mib and meter go together: allocated, reserved, process or board")
        return self


class _Document(BaseModel):
    model_config = _STRICT
    measurements: list[_Entry]


def parse(text: str, where: str) -> tuple[Measurement, ...]:
    """The measurements in a YAML file. Raises BadInput with file, line and key."""
    return tuple(Measurement(**entry.model_dump()) for entry in read(text, where, _Document).measurements)


def nearest(
    measurements: Iterable[Measurement], estimate: Estimate, quant: str, card: str, *, total: bool = True
) -> Measurement | None:
    """The measurement of the same engine, model, format, cards and cache with the closest context, if one is near.

    total: one that has a total; otherwise one that has a speed. Of two as close, the same build goes first.
    """
    request = estimate.request
    near = [
        each
        for each in measurements
        if _same_run(each, estimate, quant, card)
        and (each.total_mib if total else each.tokens_per_second) is not None
        and 1 / NEAR <= max(1, request.context) / each.context <= NEAR
    ]
    return min(
        near,
        key=lambda each: (
            abs(each.context - request.context),
            each.build != request.engine_build,
            each.source,
        ),
        default=None,
    )


def _same_run(measured: Measurement, estimate: Estimate, quant: str, card: str) -> bool:
    request: Request = estimate.request
    return (
        measured.engine == request.engine
        and measured.model == estimate.model
        and measured.quant.lower() == quant.lower()
        and measured.card == card
        and measured.n_gpus == len(estimate.cards)
        and measured.parallel == request.parallel
        and measured.kv_type == request.kv_type_k
    )


def corrected(estimate: Estimate, measured: Measurement, at_measurement: Estimate) -> Estimate:
    """`estimate` with what `measured` differed by. at_measurement: the estimate for the measurement's own inputs."""
    if measured.total_mib is None:
        return estimate
    counts_context = measured.meter in ("process", "board")
    fullest = max(range(len(at_measurement.cards)), key=lambda index: at_measurement.cards[index].expected)
    then = at_measurement.cards[fullest]
    known = then.expected - (0 if counts_context else then.of("context_overhead"))
    difference = int(measured.total_mib * MIB) - known
    reserved_then = then.of("compute") + then.of("scratch")
    away = max(estimate.request.context, 1) / measured.context
    spread = TOTAL_SPREAD * max(away, 1 / away)
    cards = tuple(_shifted(card, difference, reserved_then, measured, spread) for card in estimate.cards)
    note = f"corrected by a measurement at context {measured.context}: {measured.total_mib:.0f} MiB, {measured.source}"
    return replace(estimate, cards=cards, notes=(*estimate.notes, note))


def _shifted(
    card: PlaceEstimate, difference: int, reserved_then: int, measured: Measurement, share: float
) -> PlaceEstimate:
    reserved = card.of("compute") + card.of("scratch")
    # Never below what the engine is known to hold.
    share_of_it = min(2.0, reserved / reserved_then) if reserved_then > 0 else 1.0
    shift = max(int(difference * share_of_it), -reserved)
    wanted = card.expected + shift
    spread = int(share * wanted)
    formula = f"{measured.total_mib:.0f} MiB measured, {difference} B more than estimated there"
    term = Term(
        "scratch",
        "measured difference",
        wanted - spread - card.low,
        shift,
        wanted + spread - card.high,
        formula,
        measured.source,
    )
    return PlaceEstimate(card.name, (*card.terms, term))


def corrected_speed(speed: Speed, measured: Measurement) -> Speed:
    """The predicted speed with the measured one in the middle. Both are of the same run."""
    if measured.tokens_per_second is None:
        return speed
    at = measured.tokens_per_second
    decode = Range(at * (1 - SPEED_SPREAD), at, at * (1 + SPEED_SPREAD))
    prefill = speed.prefill
    if measured.prompt_tokens_per_second is not None:
        prompt = measured.prompt_tokens_per_second
        prefill = Range(prompt * (1 - SPEED_SPREAD), prompt, prompt * (1 + SPEED_SPREAD))
    return Speed(decode, prefill, (*speed.sources, f"measured: {measured.source}"))
