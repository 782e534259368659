"""Measured values as data, and estimates near one corrected by it.

Weights and caches are computed by the engines themselves, so a difference lies in what is reserved beside them: the
correction is added to that part, in proportion to how much of it the new estimate has. What the meter could not see
keeps its own range. A measurement of another build of the engine can only raise an estimate.
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
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
# Far above any card and any model; a slip of the finger is told rather than believed.
_MOST_MIB, _MOST_PER_SECOND = 16 * 1024 * 1024, 1_000_000


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
    total_mib: float | None = Field(default=None, gt=0, le=_MOST_MIB)
    tokens_per_second: float | None = Field(default=None, gt=0, le=_MOST_PER_SECOND)
    prompt_tokens_per_second: float | None = Field(default=None, gt=0, le=_MOST_PER_SECOND)
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

    total: one that has a total; otherwise one that has a speed. One that is known to be of another build goes last; of
    two as close, the one that is known to be of the same build goes first. Where none is near, a total far below the
    context asked for still speaks: what was more than estimated there does not go away with a longer context.
    """
    request = estimate.request
    near = [
        each
        for each in measurements
        if _same_run(each, estimate, quant, card)
        and (each.total_mib if total else each.tokens_per_second) is not None
        and (
            1 / NEAR <= max(1, request.context) / each.context <= NEAR
            or (total and _is_far_below(each, request))
        )
    ]
    return min(
        near,
        key=lambda each: (
            _is_far_below(each, request),
            of_another_build(each, request),
            abs(each.context - request.context),
            each.build != request.engine_build,
            each.source,
        ),
        default=None,
    )


def _is_far_below(measured: Measurement, request: Request) -> bool:
    return request.context > NEAR * measured.context


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


def of_another_build(measured: Measurement, request: Request) -> bool:
    """Whether both builds are known, and differ."""
    return None not in (measured.build, request.engine_build) and measured.build != request.engine_build


def corrected(estimate: Estimate, measured: Measurement, at_measurement: Estimate) -> Estimate:
    """`estimate` with what `measured` differed by. at_measurement: the estimate for the measurement's own inputs.

    With at least the measured context, no card's high ends below what was measured on the fullest one.
    """
    if measured.total_mib is None or measured.meter is None:
        return estimate
    n_bytes = int(measured.total_mib * MIB)
    fullest = max(range(len(at_measurement.cards)), key=lambda index: at_measurement.cards[index].expected)
    then = at_measurement.cards[fullest]
    difference = n_bytes - sum(term.expected for term in _seen(then, measured.meter))
    other = of_another_build(measured, estimate.request)
    if other:
        difference = max(0, difference)
    away = max(estimate.request.context, 1) / measured.context
    far = _is_far_below(measured, estimate.request)
    if far and difference <= 0:
        return estimate
    if far:
        away = NEAR
    spread = TOTAL_SPREAD * max(away, 1 / away) * (2 if other else 1)
    reserved_then = then.of("compute") + then.of("scratch")
    cards = []
    for index, card in enumerate(estimate.cards):
        reserved = card.of("compute") + card.of("scratch")
        # Never below what the engine is known to hold.
        share = min(2.0, reserved / reserved_then) if reserved_then > 0 else 1.0
        shift = max(int(difference * share), -reserved)
        least = n_bytes if away >= 1 and index == fullest else 0
        cards.append(_shifted(card, measured, shift, share=spread, only_up=other or far, least=least))
    note = f"corrected by a measurement at context {measured.context}: {measured.total_mib:.0f} MiB, {measured.source}"
    if other:
        note += f"; of build {measured.build}, so upwards only"
    return replace(estimate, cards=tuple(cards), notes=(*estimate.notes, note))


def _seen(card: PlaceEstimate, meter: Meter) -> tuple[Term, ...]:
    """The terms that a meter counts: torch's own know no CUDA context, and allocated not what the allocator keeps."""
    unseen = {
        "process": (),
        "board": (),
        "reserved": ("context_overhead",),
        "allocated": ("context_overhead",),
    }[meter]
    return tuple(
        term
        for term in card.terms
        if term.part not in unseen and not (meter == "allocated" and term.name == "allocator")
    )


def _shifted(
    card: PlaceEstimate, measured: Measurement, shift: int, *, share: float, only_up: bool, least: int
) -> PlaceEstimate:
    """One card's terms and the correction. least: bytes, of what the meter sees, that high must reach."""
    assert measured.meter is not None
    seen = _seen(card, measured.meter)
    low, expected, high = (sum(getattr(term, each) for term in seen) for each in ("low", "expected", "high"))
    wanted = expected + shift
    spread = int(share * wanted)
    upper = max(wanted + spread, least, high if only_up else 0)
    lower = min(low, wanted) if only_up else wanted - spread
    formula = f"{measured.total_mib:.0f} MiB measured at context {measured.context}: {shift} B on top"
    term = Term("scratch", "measured difference", lower - low, shift, upper - high, formula, measured.source)
    return PlaceEstimate(card.name, (*card.terms, term))


def corrected_speed(speed: Speed, measured: Measurement, *, predicted_there: Speed | None = None) -> Speed:
    """The predicted speed with the measured one in the middle.

    predicted_there: the prediction for the measurement's own context; what is measured moves with the ratio of both.
    """
    if measured.tokens_per_second is None:
        return speed
    there = predicted_there or speed
    decode = _around(measured.tokens_per_second, speed.decode, there.decode)
    prefill = speed.prefill
    if measured.prompt_tokens_per_second is not None and prefill is not None and there.prefill is not None:
        prefill = _around(measured.prompt_tokens_per_second, prefill, there.prefill)
    return Speed(decode, prefill, (*speed.sources, f"measured: {measured.source}"))


def _around(measured: float, here: Range, there: Range) -> Range:
    """The measured value at another place, by the ratio of what was predicted for both."""
    at = measured * here.expected / there.expected
    away = max(at / measured, measured / at)
    return Range(at * (1 - SPEED_SPREAD * away), at, at * (1 + SPEED_SPREAD * away))
