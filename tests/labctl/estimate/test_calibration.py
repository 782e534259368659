"""A measurement corrects what is near it, says so, and leaves the rest alone."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate import calibration
from labctl.estimate.calibration import Measurement
from labctl.estimate.claim import MIB, Estimate, Request
from labctl.estimate.llama_cpp.estimate import estimate as estimate_llama_cpp
from labctl.estimate.speed import CardShare, active_bytes, speed

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
        ({"model": "llama-3-8b"}, 8192), ({"n_gpus": 2}, 8192), ({"engine": "ollama"}, 8192), ({}, 32768), ({}, 2048),
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
