"""A measurement corrects what is near it, says so, and leaves the rest alone."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate import calibration
from labctl.estimate.calibration import Measurement
from labctl.estimate.claim import MIB, Estimate, Request
from labctl.estimate.llama_cpp.estimate import estimate as estimate_llama_cpp
from labctl.estimate.speed import CardShare, Speed, active_bytes, speed

MODEL = catalog.model("llama-3.1-8b", "Q4_K_M")
MEASURED = Measurement(
    engine="llama.cpp", build=None, model="llama-3.1-8b", quant="Q4_K_M", card="rtx-3090", n_gpus=1, context=8192,
    parallel=1, kv_type="f16", meter="process", total_mib=6500.0, tokens_per_second=110.0,
    prompt_tokens_per_second=None, source="nvidia-smi on aibox",
)  # fmt: skip


def estimated(context: int) -> Estimate:
    return estimate_llama_cpp(MODEL, Request(engine="llama.cpp", context=context))


def test_at_the_measurement_the_estimate_is_the_measurement() -> None:
    at = estimated(8192)
    found = calibration.corrected(at, MEASURED, at)
    assert found.cards[0].expected == pytest.approx(6500 * MIB, rel=0.001)
    assert found.cards[0].low < 6500 * MIB < found.cards[0].high
    assert found.cards[0].high - found.cards[0].low < 0.07 * 6500 * MIB
    assert "nvidia-smi on aibox" in found.notes[-1]
    assert found.cards[0].terms[-1].name == "measured difference"


def test_torchs_own_meters_know_no_context() -> None:
    at = estimated(8192)
    inner = calibration.corrected(at, replace(MEASURED, meter="allocated"), at)
    outer = calibration.corrected(at, MEASURED, at)
    assert inner.cards[0].expected > outer.cards[0].expected


def test_what_the_meter_cannot_see_keeps_its_range() -> None:
    at = estimated(8192)
    found = calibration.corrected(at, replace(MEASURED, meter="allocated"), at)
    (context,) = [term for term in at.cards[0].terms if term.part == "context_overhead"]
    assert found.cards[0].high - found.cards[0].low >= context.high - context.low


@pytest.mark.parametrize("meter", ["allocated", "reserved", "process", "board"])
@pytest.mark.parametrize("total", [4000.0, 6500.0, 9000.0])
@pytest.mark.parametrize("context", [8192, 12288, 16384])
def test_high_never_ends_below_what_was_measured(
    meter: calibration.Meter, total: float, context: int
) -> None:
    measured = replace(MEASURED, meter=meter, total_mib=total)
    found = calibration.corrected(estimated(context), measured, estimated(8192))
    card = found.cards[0]
    assert card.high >= total * MIB
    assert card.low <= card.expected <= card.high


def test_another_build_only_raises_and_is_named() -> None:
    newer = estimate_llama_cpp(MODEL, Request(engine="llama.cpp", context=8192, engine_build="b9000"))
    for total in (4000.0, 9000.0):
        older = replace(MEASURED, build="b4000", total_mib=total)
        found = calibration.corrected(newer, older, newer)
        assert found.cards[0].expected >= newer.cards[0].expected
        assert found.cards[0].high >= max(newer.cards[0].high, total * MIB)
        assert "of build b4000, so upwards only" in found.notes[-1]
    same = calibration.corrected(newer, replace(MEASURED, build="b9000", total_mib=4900.0), newer)
    assert same.cards[0].high < newer.cards[0].high


def test_near_it_the_difference_is_carried_over() -> None:
    near = estimated(12288)
    found = calibration.corrected(near, MEASURED, estimated(8192))
    assert found.cards[0].expected > near.cards[0].expected
    assert found.of("weights") == near.of("weights")
    assert found.of("kv_cache") == near.of("kv_cache")


def test_a_measurement_below_the_estimate_never_takes_from_weights_and_cache() -> None:
    at = estimated(8192)
    found = calibration.corrected(at, replace(MEASURED, total_mib=100.0), at)
    held = at.cards[0].of("weights") + at.cards[0].of("kv_cache")
    assert found.cards[0].expected >= held


@pytest.mark.parametrize(
    ("change", "context"),
    [
        ({"card": "rtx-4090"}, 8192), ({"quant": "Q8_0"}, 8192), ({"kv_type": "q8_0"}, 8192), ({"parallel": 2}, 8192),
        ({"model": "llama-3-8b"}, 8192), ({"n_gpus": 2}, 8192), ({"engine": "ollama"}, 8192), ({}, 2048),
    ],
)  # fmt: skip
def test_what_is_not_near_is_not_used(change: dict[str, object], context: int) -> None:
    other = replace(MEASURED, **change)  # type: ignore[arg-type]  # the fields have several types
    assert calibration.nearest([other], estimated(context), "Q4_K_M", "rtx-3090") is None


def test_the_closest_context_goes_first_then_the_build() -> None:
    far = replace(MEASURED, context=16384)
    newer = replace(MEASURED, build="b9000")
    assert calibration.nearest([far, MEASURED], estimated(8192), "q4_k_m", "rtx-3090") == MEASURED
    at = estimate_llama_cpp(MODEL, Request(engine="llama.cpp", context=8192, engine_build="b9000"))
    assert calibration.nearest([MEASURED, newer], at, "Q4_K_M", "rtx-3090") == newer


def test_a_build_that_is_known_to_differ_goes_last() -> None:
    at = estimate_llama_cpp(MODEL, Request(engine="llama.cpp", context=8192, engine_build="b9000"))
    older, far = replace(MEASURED, build="b4000"), replace(MEASURED, context=12288)
    assert calibration.nearest([older, far], at, "Q4_K_M", "rtx-3090") == far


def test_a_measured_speed_moves_with_the_context() -> None:
    def predicted(cache_bytes: int) -> Speed:
        found = speed(MODEL, (CardShare(catalog.gpu("rtx-3090"), active_bytes(MODEL), cache_bytes),))
        assert found is not None
        return found

    here, there = predicted(2 * 1024**3), predicted(1024**3)
    found = calibration.corrected_speed(here, MEASURED, predicted_there=there)
    assert found.decode.expected == pytest.approx(110 * here.decode.expected / there.decode.expected)
    assert found.decode.high > found.decode.expected > found.decode.low


def test_a_measured_speed_goes_before_a_predicted_one() -> None:
    predicted = speed(MODEL, (CardShare(catalog.gpu("rtx-3090"), active_bytes(MODEL)),))
    assert predicted is not None
    found = calibration.corrected_speed(predicted, MEASURED)
    assert found.decode.expected == 110
    assert 110 in found.decode
    assert found.prefill == predicted.prefill
    assert found.sources[-1] == "measured: nvidia-smi on aibox"


def test_the_catalogue_carries_measurements() -> None:
    carried = catalog.measurements()
    assert len(carried) >= 16
    for each in carried:
        assert catalog.gpu(each.card).name == each.card
        assert catalog.model_record(each.model).name == each.model


RUN = "measurements:\n  - engine: llama.cpp\n    model: m\n    quant: q\n    card: c\n    source: here\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("    context: 1\n", r"f\.yaml:2: .*nothing was measured"),
        ("    context: many\n", r"f\.yaml:7: `measurements\.0\.context`.*found 'many'"),
        ("    context: 1\n    total_mib: 5.0\n", "total_mib and meter go together"),
        ("    context: 1\n    total_mb: 5.0\n", r"f\.yaml:8: unknown key `measurements\.0\.total_mb`"),
    ],
)
def test_a_wrong_measurement_is_told_with_its_line(more: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        calibration.parse(RUN + more, "f.yaml")


def test_what_was_more_than_estimated_stays_with_a_longer_context() -> None:
    """Else a card that was measured too small would do again with twice the context and a little more."""
    total_mib = estimated(8192).cards[0].expected / MIB + 1500
    measured = replace(MEASURED, total_mib=total_mib)
    highs = []
    for context in (8192, 16384, 17408, 65536, 131072):
        found = estimated(context)
        assert calibration.nearest([measured], found, "Q4_K_M", "rtx-3090") == measured
        after = calibration.corrected(found, measured, estimated(8192))
        assert after.cards[0].expected - found.cards[0].expected >= 1400 * MIB
        highs.append(after.cards[0].high)
    assert highs == sorted(highs)
    less = replace(measured, total_mib=total_mib - 2500)
    far = estimated(65536)
    assert calibration.corrected(far, less, estimated(8192)).cards[0].high >= far.cards[0].high
