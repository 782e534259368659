"""Estimates against published measurements, like with like. `make accuracy` prints the whole table."""

from statistics import median

import pytest

from tests.labctl.estimate.published import Compared, all_compared, document, left_out, report

COMPARED = all_compared()


def of(component: str, *, engine: str | None = None) -> list[Compared]:
    return [each for each in COMPARED if each.component == component and engine in (None, each.engine)]


def totals(*prefixes: str) -> list[Compared]:
    return [each for each in of("total") if each.case.startswith(prefixes)]


DIFFUSION = ("hunyuan", "wan", "pixart", "cogvideo", "diffusers")
TRAINING = ("tt-", "titan-", "unsloth-", "litgpt-llama-2")


def logged_by_llama_cpp(*components: str) -> list[Compared]:
    return [each for each in COMPARED if each.component in components and "llama" in each.engine]


@pytest.mark.parametrize("components", [("weights", "weights_card", "weights_host"), ("kv",)], ids=str)
def test_weights_and_cache_of_logged_gguf_models_are_within_one_per_cent(components: tuple[str, ...]) -> None:
    logged = logged_by_llama_cpp(*components)
    assert len(logged) >= 25
    assert [each for each in logged if abs(each.error) > 0.01] == []


def test_compute_of_mainline_llama_cpp_is_within_twelve_per_cent() -> None:
    logged = [each for each in logged_by_llama_cpp("compute") if each.engine == "llama.cpp"]
    assert len(logged) >= 6
    assert [each for each in logged if abs(each.error) > 0.12] == []


def test_prompts_and_caches_of_transformers_are_within_three_per_cent() -> None:
    assert len(of("total", engine="transformers")) >= 150
    errors = sorted(abs(each.error) for each in of("total", engine="transformers"))
    assert errors[len(errors) // 2] < 0.005
    assert errors[int(0.95 * len(errors))] < 0.03


@pytest.mark.parametrize("compared", of("weights", engine="vLLM"), ids=lambda each: each.case)
def test_vllm_weights_are_within_two_per_cent(compared: Compared) -> None:
    assert abs(compared.error) < 0.02


@pytest.mark.parametrize("component", ["activation_peak", "cuda_graphs", "non_torch"])
def test_what_vllm_measures_at_start_lies_in_the_range(component: str) -> None:
    assert len(of(component)) >= 6
    assert [each for each in of(component) if not each.inside] == []


def test_vllm_pools_hold_the_logged_number_of_tokens() -> None:
    assert len(of("kv_tokens")) >= 4
    assert [each for each in of("kv_tokens") if abs(each.error) > 0.03] == []


@pytest.mark.parametrize("component", ["backbone", "vae"])
def test_weights_of_logged_diffusion_models_are_within_one_per_cent(component: str) -> None:
    assert [each for each in of(component) if abs(each.error) > 0.01] == []


def test_compute_buffers_of_stable_diffusion_cpp() -> None:
    assert len(of("compute", engine="stable-diffusion.cpp")) >= 6
    assert [each for each in of("compute", engine="stable-diffusion.cpp") if abs(each.error) > 0.01] == []


@pytest.mark.parametrize("family", [DIFFUSION, TRAINING], ids=["diffusion", "training"])
def test_totals_are_right_to_ten_per_cent_in_the_median(family: tuple[str, ...]) -> None:
    assert len(totals(*family)) >= 8
    assert median(abs(each.error) for each in totals(*family)) <= 0.10
    assert median(abs(each.error) for each in totals(*family) if not each.fitted) <= 0.10


def test_constants_still_give_what_they_were_taken_from() -> None:
    fitted = [each for each in COMPARED if each.fitted and each.component not in ("cuda_graphs", "non_torch")]
    assert len(fitted) > 20
    assert [each for each in fitted if abs(each.error) > 0.06] == []


METERS = ("allocated", "reserved", "process", "board", "engine log")


def test_every_case_says_what_its_meter_measured() -> None:
    assert [each for each in COMPARED if not each.meter.startswith(METERS)] == []


def test_no_total_is_low_where_the_case_states_every_input() -> None:
    low = [each for each in of("total") if each.complete and each.error < -0.03]
    assert low == []


def test_a_case_that_does_not_state_every_input_says_what_is_missing() -> None:
    """Or any case that comes out low could be excused."""
    files = ("llama_cpp", "vllm", "diffusion", "training", "transformers")
    every = [case for name in files for case in document(name)["cases"]]
    excused = [case for case in every if case.get("complete") is False]
    assert excused
    assert [case["id"] for case in excused if not case.get("note")] == []


def test_measurements_lie_between_low_and_high() -> None:
    # Half of them gave no constant to any formula; they alone must hold too.
    for group in (COMPARED, [each for each in COMPARED if not each.fitted]):
        assert len(group) > 40
        assert sum(each.inside for each in group) / len(group) >= 0.95


def test_ranges_are_ordered_and_above_nothing() -> None:
    assert [each for each in COMPARED if not 0 < each.low <= each.expected <= each.high] == []


def test_the_report_says_how_many_which_is_worst_and_what_was_left_out() -> None:
    text = report(COMPARED, left_out())
    assert f"{len(COMPARED)} measurements" in text
    assert "worst" in text
    assert "unsloth-gptoss-20b-500k-a100: tiled" in text


def test_a_measurement_outside_its_range_would_be_seen() -> None:
    wrong = Compared("x", "vLLM", "total", "process", True, 1000, 400, 500, 600)
    assert not wrong.inside
    assert wrong.error == -0.5
