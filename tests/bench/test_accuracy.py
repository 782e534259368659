"""The accuracy benchmark's arithmetic, and the formulas of others as they are documented."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.estimate.claim import MIB
from tests.bench.accuracy import compare, errors, formula, percentile, row
from tests.bench.accuracy_files import config_json, write_gguf, write_repository
from tests.bench.accuracy_formulas import FORMULAS, gguf_parser, gpustack, ollama
from tests.bench.accuracy_peers import HUB_NAMES, REQUIREMENTS
from tests.bench.accuracy_points import Point, Subject, all_points

GGUF = Subject(catalog.model("qwen3-32b", "Q4_K_M"), True, 8192)


def test_ollamas_preflight_ignores_the_key_length() -> None:
    """Qwen3-32B has 64 heads of 128 on 5120 of width: it counts 80."""
    assert ollama(GGUF, "kv") == 2 * 64 * 8 * 80 * 8192 * 2 / MIB
    assert ollama(replace(GGUF, gguf=False), "total") is None


def test_gguf_parser_counts_320_of_576_elements_of_a_latent() -> None:
    subject = Subject(catalog.model("deepseek-r1", "Q4_K_M"), True, 4096)
    assert gguf_parser(subject, "kv") == pytest.approx(61 * 320 * 4096 * 2 / MIB)


def test_gguf_parser_takes_the_logical_batch_for_windows() -> None:
    subject = Subject(catalog.model("gemma-3-27b", "Q4_K_M"), True, 32768)
    assert gguf_parser(subject, "kv") == pytest.approx((10 * 32768 + 52 * 3072) * 16 * 256 * 2 / MIB)


def test_gpustack_is_blind_to_context() -> None:
    short, long = (Subject(catalog.model("qwen3-8b", "bf16"), False, each) for each in (1, 32768))
    assert gpustack(short, "total") == gpustack(long, "total")


def test_percentiles_and_bias() -> None:
    assert percentile([0.01 * each for each in range(-100, 0)], 0.95) == pytest.approx(0.96)
    assert "+50.0%" in row("x", [0.5, -0.1])
    point = Point("c", "e", "total", 100, 120, GGUF)
    assert errors([point], lambda each: each.estimated) == pytest.approx([0.2])
    assert errors([point], lambda _: None) == []


def test_the_aim_holds_beside_the_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    says = {name: formula(name) for name in FORMULAS}
    assert compare(all_points(), says) == 0
    assert capsys.readouterr().out.count("holds") == len(FORMULAS)


def test_a_better_one_would_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(all_points(), {"oracle": lambda point: point.measured}) == 3
    assert "DOES NOT HOLD" in capsys.readouterr().out


def test_repositories_are_written_with_true_sizes(tmp_path: Path) -> None:
    model = catalog.model("qwen3-8b", "bf16")
    assert write_repository(tmp_path / "a", model)
    raw = (tmp_path / "a" / "model.safetensors").read_bytes()
    rows = json.loads(raw[8:])
    assert sum(2 * row["shape"][0] for row in rows.values()) == pytest.approx(model.file_bytes, rel=0.001)
    assert not write_repository(tmp_path / "b", catalog.model("gpt-oss-20b", "mxfp4-safetensors"))
    assert config_json(catalog.model("deepseek-r1", "bf16")) is None
    write_gguf(tmp_path / "c" / "model.gguf", GGUF.model, 4096)
    assert (tmp_path / "c" / "model.gguf").stat().st_size < 4096


def test_every_case_that_llmfit_could_know_has_its_hub_name() -> None:
    spoken = [point for point in all_points() if point.engine != "vLLM" and point.component != "training"]
    names = {point.subject.model.name for point in spoken if not point.subject.model.name.startswith("qwen")}
    assert names - set(HUB_NAMES) == set()


def test_requirements_are_pinned_by_hash_and_name_no_host() -> None:
    text = REQUIREMENTS.read_text()
    assert "://" not in text
    assert text.count("--hash=sha256:") > text.count("==")
