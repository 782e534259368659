"""What MODEL means: a name, a file, a directory; and which engine runs it in which formats."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.edges.candidates import GGUF_QUANTS, VLLM_QUANTS, Wanted, find
from labctl.errors import BadInput
from labctl.estimate.claim import Engine, Request
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import write

NAMES = (*catalog.model_names(), *catalog.diffusion_names(), *catalog.whisper_names())

NOTHING_KNOWN = {
    each.name for each in catalog.model_records() if each.shape is None and each.parameters is None
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_catalogue_is_a_candidate(name: str) -> None:
    if name in NOTHING_KNOWN:
        with pytest.raises(BadInput, match="knows neither shape nor parameters"):
            assert find(Wanted(name)).candidate.parameters
        return
    found = find(Wanted(name)).candidate
    assert found.name == name
    assert found.quants
    assert found.parameters > 0


@pytest.mark.parametrize(
    ("wanted", "engine", "first"),
    [
        (Wanted("llama-3.1-8b"), "llama.cpp", "F16"),
        (Wanted("Llama 3.1 8B"), "llama.cpp", "F16"),
        (Wanted("LLAMA-3.1-8B"), "llama.cpp", "F16"),
        (Wanted("llama-3.1-8b", quants=("awq",)), "vllm", "awq"),
        (Wanted("llama-3.1-8b", quants=("q4_k_m",)), "llama.cpp", "Q4_K_M"),
        (Wanted("llama-3.1-8b", engine="vllm"), "vllm", "bf16"),
        (Wanted("llama-3.1-8b", engine="transformers"), "transformers", "bf16"),
        (Wanted("gpt-oss-20b"), "llama.cpp", "MXFP4"),
        (Wanted("gpt-oss-20b", engine="vllm"), "vllm", "mxfp4-safetensors"),
        (Wanted("flux.1-dev"), "comfyui", "bf16"),
        (Wanted("flux.1-dev", engine="diffusers"), "diffusers", "bf16"),
        (Wanted("whisper-large-v3"), "whisper", "fp16"),
        (Wanted("llama-3.1-8b", method="qlora"), "training", "nf4"),
        (Wanted("llama-3.1-8b", method="full"), "training", "bf16"),
    ],
)
def test_who_runs_it(wanted: Wanted, engine: Engine, first: str) -> None:
    found = find(wanted).candidate
    assert (found.engine, found.quants[0]) == (engine, first)


def test_formats_come_best_first() -> None:
    for quants in (GGUF_QUANTS, VLLM_QUANTS):
        bits = [catalog.quantization(quant).bits_per_weight for quant in quants]
        assert bits == sorted(bits, reverse=True)


def test_a_file_has_the_format_it_has(tmp_path: Path) -> None:
    path = tmp_path / "any-name.gguf"
    write(path, SHAPES["llama-3.2-1b"]())
    found = find(Wanted(str(path)))
    assert not found.carried
    assert found.where == str(path)
    assert found.candidate.engine == "llama.cpp"
    assert len(found.candidate.quants) == 1
    assert find(Wanted(str(path), engine="ollama")).candidate.engine == "ollama"
    assert find(Wanted(str(path), quants=found.candidate.quants)).candidate.quants == found.candidate.quants


def test_a_file_beside_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "phi-4", SHAPES["llama-3.2-1b"]())
    monkeypatch.chdir(tmp_path)
    assert find(Wanted("phi-4")).where.endswith("phi-4")


@pytest.mark.parametrize("name", ["nosuch", "x" * 300, "diffusion", "gpus", "\0", "phi-4.yaml", "."])
def test_a_name_that_is_nowhere(name: str) -> None:
    with pytest.raises(BadInput):
        find(Wanted(name))


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        (Wanted("flux.1-dev", method="lora"), "--train"),
        (Wanted("whisper-small", method="full"), "--train"),
        (Wanted("flux.1-dev", quants=("awq",)), "--quant"),
        (Wanted("whisper-small", quants=("awq",)), "--quant"),
        (Wanted("llama-3.1-8b", method="qlora", quants=("bf16",)), "--quant"),
        (Wanted("llama-3.1-8b", method="full", quants=("nf4",)), "--quant"),
    ],
)
def test_formats_and_methods_that_cannot_be_are_refused(wanted: Wanted, where: str) -> None:
    with pytest.raises(BadInput) as refused:
        find(wanted)
    assert refused.value.where == where


@pytest.mark.parametrize("engine", ["llama.cpp", "ollama"])
def test_a_vision_part_is_charged_whichever_way_a_gguf_is_run(engine: Engine) -> None:
    found = find(Wanted("qwen3-vl-8b", engine=engine, quants=("Q4_K_M",)))
    (part,) = found.companions
    memory = (24 * 1024**3,)
    plain = Request(engine, 8192, card_memory_bytes=memory)
    alone, both = (
        found.candidate.estimate("Q4_K_M", each).cards[0] for each in (plain, replace(plain, mmproj=part))
    )
    assert both.of("weights") - alone.of("weights") == part.file_bytes
    assert both.high > alone.high + part.file_bytes
