"""The whole answer: the choice, what would help, and measurements that speak before the choice."""

from dataclasses import replace

from labctl.estimate.calibration import Measurement
from labctl.estimate.claim import MIB, Request
from labctl.place.group import Group
from labctl.place.report import Asked, Report, report
from tests.labctl.place.simulated import BITS, Straight, all_groups, bits, card, group, known_gpus, request

MEASURED = Measurement(
    engine="llama.cpp",
    build=None,
    model="straight",
    quant="Q8_0",
    card="rtx-3090",
    n_gpus=1,
    context=8192,
    parallel=1,
    kv_type="f16",
    meter="process",
    total_mib=9000.0,
    tokens_per_second=None,
    prompt_tokens_per_second=None,
    source="a test",
)


def asked(
    candidate: Straight,
    groups: tuple[Group, ...],
    *measured: Measurement,
    ask: Request | None = None,
    imagined: bool = False,
) -> Report:
    return report(
        Asked(candidate, ask or request(), groups, imagined, known_gpus, bits, measurements=measured)
    )


def test_yes() -> None:
    found = asked(Straight(16_000, 1000), (group(10_000),))
    assert (found.answer, found.quant, found.reason) == (True, "Q8_0", None)
    assert (found.suggestions, found.enough) == ((), ())
    assert [each.quant for each in found.fits] == list(BITS)


def test_no_with_everything_that_helps() -> None:
    found = asked(Straight(160_000, 1000), (group(10_000),))
    assert (found.answer, found.quant) == (False, "Q4_K_M")
    assert found.reason is not None
    assert found.suggestions
    assert found.enough


def test_without_cards_there_is_no_verdict() -> None:
    found = asked(Straight(16_000, 1000), (group(10_000),), imagined=True)
    assert (found.answer, found.reason, found.group, found.suggestions) == (None, None, None, ())


def test_no_is_told_on_the_cards_that_come_nearest() -> None:
    found = asked(Straight(160_000, 0), all_groups(card(10_000), card(10_000, 1), card(5000, 2, "rtx-3060")))
    assert found.group is not None
    assert len(found.group.cards) == 3


def test_a_measurement_can_turn_yes_into_no() -> None:
    """8500 MiB by the rules, 9000 and 3 % by the meter, and 9100 are there."""
    fits = asked(Straight(16_000, 0), (group(9100),))
    assert (fits.answer, fits.quant) == (True, "Q8_0")
    corrected = asked(Straight(16_000, 0), (group(9100),), MEASURED)
    assert (corrected.answer, corrected.quant) == (True, "Q4_K_M")
    only = replace(Straight(16_000, 0), quants=("Q8_0",))
    refused = asked(only, (group(9100),), MEASURED)
    assert refused.answer is False
    assert any("corrected by a measurement" in note for note in refused.estimate.notes)


def test_high_is_never_below_what_was_measured() -> None:
    for total in (3000.0, 8000.0, 8500.0, 9000.0, 20_000.0):
        for meter in ("process", "reserved"):
            measured = replace(MEASURED, total_mib=total, meter=meter)
            found = asked(replace(Straight(16_000, 0), quants=("Q8_0",)), (group(40_000),), measured)
            (only,) = found.estimate.cards
            assert only.high >= total * MIB
            assert only.low <= only.expected <= only.high


def test_a_measurement_speaks_of_the_plain_run_on_its_own_card() -> None:
    only = replace(Straight(16_000, 0), quants=("Q8_0",))
    plain = asked(only, (group(40_000),)).estimate
    others = (
        asked(only, (group(40_000, gpu="rtx-4090"),), MEASURED),
        asked(only, (group(40_000, 40_000),), MEASURED),
        asked(only, (group(40_000),), replace(MEASURED, engine="vllm")),
        asked(only, (group(40_000),), replace(MEASURED, quant="Q2_K")),
        asked(only, (group(40_000),), MEASURED, ask=request(2_048)),
    )
    assert [each.estimate.notes for each in others] == [plain.notes] * len(others)
    moved = asked(only, (group(40_000),), MEASURED, ask=replace(request(), n_gpu_layers=10))
    assert moved.estimate.notes == ()
