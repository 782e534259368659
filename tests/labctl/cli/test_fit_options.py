"""What cannot be meant so is refused in one line: where, what was found, what belongs there, what to do."""

import os
from pathlib import Path

import pytest

from labctl.cli.fit_options import number, size, tokens
from labctl.errors import BadInput
from tests.labctl.cli.fit_command import Command, gguf

LLAMA = ("llama-3.1-8b", "--gpu", "rtx-3090")
FLUX = ("flux.1-dev", "--gpu", "rtx-3090")
SAID = {
    (*LLAMA, "--quant", "awq", "--engine", "llama.cpp"): (
        "--quant: llama.cpp reads gguf files (found awq, which are safetensors files, expected one of F16, Q8_0,"
    ),
    (*LLAMA, "--quant", "Q4_K_M", "--engine", "vllm"): (
        "--quant: vllm reads safetensors files (found Q4_K_M, which are gguf files, expected one of bf16, fp8, awq)"
    ),
    (*LLAMA, "--quant", "Q4_K_X"): "--quant: no format of weights has this name (found Q4_K_X, expected Q4_K_",
    (*LLAMA, "--quant", "zzz"): "--quant: no format of weights has this name (found zzz, expected F16, Q8_0, Q6_K,",
    (*LLAMA, "--engine", "vllm", "--tensor-parallel", "3"): "--gpus: no host has so many cards (found 3, expected at most 1)",
    ("llama-3.1-8b", "--gpu", "rtx-3090:3", "--engine", "vllm", "--tensor-parallel", "3"): (
        "--tensor-parallel: vLLM deals attention heads out evenly (found 32 heads on 3 cards, expected one of 1, 2, 4, 8, 16)"
    ),
    ("llama-3.1-8b", "--gpu", "rtx-3090:3", "--engine", "vllm", "--gpus", "3"): "--gpus: vLLM deals attention heads out",
    ("llama-3.1-8b", "--gpu", "rtx-3090:2", "--tensor-parallel", "2"): (
        "--tensor-parallel: llama.cpp has no such setting (expected --engine vllm) — llama.cpp and transformers share"
    ),
    (*LLAMA, "--gpus", "1", "--tensor-parallel", "2", "--engine", "vllm"): "--gpus: two numbers of cards (found --gpus 1 and",
    (*LLAMA, "--gpus", "0"): "--gpus: out of bounds (found 0, expected 1 to 64)",
    (*LLAMA, "--parallel", "0"): "--parallel: out of bounds (found 0, expected 1 to 4096)",
    (*LLAMA, "--parallel", "two"): "Invalid value for '--parallel': 'two' is not a valid int — see `labctl fit --help`",
    (*LLAMA, "--context", "0"): "--context: not a number of tokens (found 0, expected 1 to 16777216, as 8192 or 32k)",
    (*LLAMA, "--context", ""): "--context: not a number of tokens (found nothing, expected",
    (*LLAMA, "--context", "8.5k"): "--context: not a number of tokens (found 8.5k, expected",
    (*LLAMA, "--batch", "0"): "--batch: out of bounds (found 0, expected 1 to 1048576)",
    (*LLAMA, "--ubatch", "0"): "--ubatch: out of bounds (found 0, expected 1 to 1048576)",
    (*LLAMA, "--ubatch", "512", "--engine", "vllm"): "--ubatch: vllm has no such setting (expected --engine llama.cpp)",
    (*LLAMA, "--batch", "512", "--engine", "ollama"): "--batch: ollama has no such setting (expected --engine llama.cpp or vllm",
    (*LLAMA, "--kv-type", "q3"): (
        "--kv-type: llama.cpp has no KV cache in this format (found q3, expected auto, f16, bf16, f32, q8_0, q5_1, q5_0,"
    ),
    (*LLAMA, "--kv-type", "fp8"): "--kv-type: llama.cpp has no KV cache in this format (found fp8, expected auto, f16,",
    (*LLAMA, "--kv-type", "q8_0", "--engine", "vllm"): (
        "--kv-type: vllm has no KV cache in this format (found q8_0, expected auto, f16, fp8, fp8_e4m3, fp8_e5m2)"
    ),
    (*LLAMA, "--kv-type", "q8_0", "--engine", "transformers"): "--kv-type: transformers has no KV cache in this format",
    (*LLAMA, "--kv-type", "q8_0", "--flash-attention", "off"): (
        "--kv-type: llama.cpp quantizes the cache of values only with flash attention (found q8_0 with"
    ),
    (*LLAMA, "--flash-attention", "maybe"): "--flash-attention: neither on nor off (found maybe, expected on, off or auto)",
    (*LLAMA, "--flash-attention", "on", "--engine", "vllm"): "--flash-attention: vllm has no such setting (expected --engine",
    (*LLAMA, "--n-gpu-layers", "-1"): "--n-gpu-layers: out of bounds (found -1, expected 0 to 999)",
    (*LLAMA, "--n-gpu-layers", "5", "--engine", "ollama"): "--n-gpu-layers: ollama has no such setting (expected --engine llama",
    (*LLAMA, "--n-cpu-moe", "-1"): "--n-cpu-moe: out of bounds (found -1, expected 0 to 10000)",
    (*LLAMA, "--n-cpu-moe", "3"): "--n-cpu-moe: this model has no experts (found llama-3.1-8b) — --n-gpu-layers N",
    (*LLAMA, "--draft", "lama-3.2-1b"): "--draft: no model of that name in the catalogue, and no such file (found lama-3.2-1b,",
    (*LLAMA, "--draft", "whisper-tiny"): "--draft: llama.cpp does not run whisper-tiny",
    (*LLAMA, "--draft", "llama-3.2-1b", "--engine", "vllm"): "--draft: vllm has no such setting (expected --engine llama.cpp)",
    (*LLAMA, "--mmproj", "nosuch.gguf"): "nosuch.gguf: there is no such file or directory (expected a .gguf file,",
    (*LLAMA, "--mmproj", "x.gguf", "--engine", "vllm"): "--mmproj: vllm has no such setting (expected --engine llama.cpp or",
    (*LLAMA, "--train", "lorra"): "--train: not one of the choices (found lorra, expected full, lora, qlora)",
    (*LLAMA, "--train", "lora", "--optimizer", "adm"): "--optimizer: not one of the choices (found adm, expected adamw,",
    (*LLAMA, "--train", "lora", "--engine", "vllm"): "--engine: training is no engine's (found vllm) — leave out --engine or",
    (*LLAMA, "--train", "lora", "--quant", "Q4_K_M"): "--quant: training does not start from GGUF files (found Q4_K_M,",
    (*LLAMA, "--train", "lora", "--kv-type", "f16"): "--kv-type: training has no such setting (expected --engine llama.cpp",
    (*LLAMA, "--optimizer", "adamw"): "--optimizer: llama.cpp has no such setting (expected --train METHOD)",
    (*LLAMA, "--size", "512x512"): "--size: llama.cpp has no such setting (expected --engine comfyui or diffusers)",
    (*LLAMA, "--frames", "5"): "--frames: llama.cpp has no such setting (expected --engine comfyui or diffusers)",
    (*LLAMA, "--engine", "lama.cpp"): "--engine: no engine of that name (found lama.cpp, expected llama.cpp, ollama, vllm,",
    (*LLAMA, "--engine", "training"): "--engine: no engine of that name (found training, expected llama.cpp,",
    (*LLAMA, "--engine", "comfyui"): "--engine: comfyui does not run llama-3.1-8b (found comfyui, expected llama.cpp or ollama",
    (*LLAMA, "--use", "chat"): "--use: only the list without a model has uses — leave out MODEL or --use",
    (*FLUX, "--size", "0x0"): "--size: not a size (found 0x0, expected WIDTHxHEIGHT in pixels, as 1024x1024)",
    (*FLUX, "--size", "1024"): "--size: not a size (found 1024, expected",
    (*FLUX, "--frames", "0"): "--frames: out of bounds (found 0, expected 1 to 10000)",
    (*FLUX, "--context", "8k"): "--context: comfyui has no such setting (expected --engine llama.cpp or ollama or vllm or",
    (*FLUX, "--kv-type", "q8_0"): "--kv-type: comfyui has no such setting (expected --engine llama.cpp or",
    (*FLUX, "--quant", "Q9"): "--quant: no format of weights has this name (found Q9, expected",
    ("llama-3.1-8b", "--gpu", "rtx-3091"): "--gpu: no GPU of that name in the catalogue (found rtx-3091) — did you mean rtx-3090,",
    ("llama-3.1-8b", "--gpu", "../models/llama-3.1-8b"): "--gpu: no GPU of that name in the catalogue (found ../models/",
    ("llama-3.1-8b", "--gpu", "x" * 5000): "--gpu: no GPU of that name in the catalogue (found xxx",
    ("llama-3.1-8b", "--gpu", "rtx-3090:0"): "--gpu: not a number of cards (found rtx-3090:0, expected NAME or NAME:COUNT up to 64,",
    ("llama-3.1-8b", "--gpu", "rtx-3090:65"): "--gpu: not a number of cards (found rtx-3090:65, expected",
    ("llama-3.1-8b", "--gpu", "rtx-3090:"): "--gpu: not a number of cards (found rtx-3090:, expected",
    ("llama-3.1-8b", "--gpu", "rtx-3090:" + "1" * 5000): "--gpu: not a number of cards (found rtx-3090:111",
    ("llama-3.1-8b", "--gpu", ""): "--gpu: no card is named (expected NAME or NAME:COUNT, as rtx-3090:2)",
    (*LLAMA, "--rig", "x.yaml"): "--gpu: cards are given twice — either --rig FILE or --gpu NAME",
    ("", "--gpu", "rtx-3090"): "MODEL: no model is named (expected a catalogue name, a .gguf file, a directory with",
    ("lama-3.1-8b",): "MODEL: no model of that name in the catalogue, and no such file (found lama-3.1-8b, expected a cat",
    ("x" * 5000,): "MODEL: no model of that name in the catalogue, and no such file (found xxx",
    ("~nobody-here/model.gguf",): "MODEL: this is no path (found ~nobody-here/model.gguf)",
    ("/" + "x" * 5000 + ".gguf",): "MODEL: this is no path (found /xxx",
    ("--use", "chess", "--gpu", "rtx-3060"): "--use: nothing has this use (found chess, expected chat, code,",
    ("--engine", "comfyui", "--gpu", "rtx-3060"): "--engine: the list is of language models (found comfyui, expected llama",
    ("--gpu", "rtx-3060", "--train", "lora"): "--train: the list is of all models (found lora) — name a MODEL",
    ("--gpu", "rtx-3060", "--gpus", "2"): "--gpus: the list is of all models (found 2) — name a MODEL",
    ("--gpu", "rtx-3060", "--explain"): "--explain: the list has no terms to explain — name a MODEL",
    (): "labctl fit: which cards? there is no NVIDIA driver here (expected --rig FILE or --gpu NAME) — as in",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    SAID.items(),
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_it_is_said(words: tuple[str, ...], said: str, fit: Command) -> None:
    refusal = fit.refusal(*words)
    assert refusal.startswith(said), refusal


def test_did_you_mean(fit: Command) -> None:
    assert "— did you mean llama-3.1-8b" in fit.refusal("lama-3.1-8b")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file ends within its header (found 0 bytes"),
        (
            b"hello there, this is text",
            "this is not a GGUF file (found b'hell', expected b'GGUF' as its first",
        ),
        (b"GGUF\x03\0\0\0", "the file ends within its header"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_file_that_is_no_model(content: bytes, said: str, fit: Command, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert fit.refusal(str(path), "--gpu", "rtx-3060").startswith(f"{path}: {said}")
    assert fit.refusal("llama-3.1-8b", "--gpu", "rtx-3060", "--mmproj", str(path)).startswith(
        f"{path}: {said}"
    )


def test_a_model_is_no_vision_part(fit: Command, tmp_path: Path) -> None:
    said = fit.refusal("llama-3.1-8b", "--gpu", "rtx-3060", "--mmproj", gguf(tmp_path))
    assert said.startswith("--mmproj: this is no vision part (found ")


def test_training_does_not_start_from_gguf(fit: Command, tmp_path: Path) -> None:
    said = fit.refusal(gguf(tmp_path), "--gpu", "rtx-3060", "--train", "lora")
    assert said.startswith("MODEL: training does not start from GGUF files")


def test_a_file_comes_in_one_format(fit: Command, tmp_path: Path) -> None:
    path = gguf(tmp_path)
    assert fit.refusal(path, "--quant", "Q8_0").startswith(
        "--quant: this file comes in another format (found Q8_0,"
    )
    assert fit.refusal(path, "--quant", "Q8_0,Q4_K").startswith("--quant: a file comes in one format")
    assert fit.refusal(path, "--engine", "vllm").startswith("--engine: vllm does not run ")


def test_a_path_that_may_not_be_read(fit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal itself is simulated."""
    path = gguf(tmp_path)

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    said = fit.refusal(path, "--gpu", "rtx-3060")
    assert said.startswith(f"{path}: the file cannot be opened (found Permission denied)")


@pytest.mark.parametrize(("text", "count"), [("8192", 8192), ("32k", 32768), ("1M", 1024 * 1024), ("1", 1)])
def test_tokens(text: str, count: int) -> None:
    assert tokens("--context", text) == count


@pytest.mark.parametrize("text", ["", "k", "-1", "1e3", "²", "٣", "8 k", "99999999", "1" * 5000])
def test_no_tokens(text: str) -> None:
    with pytest.raises(BadInput, match="--context: not a number of tokens"):
        tokens("--context", text)


@pytest.mark.parametrize(
    "text", ["", "x", "1024x", "x1024", "1024x1024x1", "-64x64", "63x64", "1x99999", "²56x256"]
)
def test_no_size(text: str) -> None:
    with pytest.raises(BadInput, match="--size: not a size"):
        size(text)


def test_bounds_are_inside() -> None:
    assert (number("--x", 1, 1, 5), number("--x", 5, 1, 5), number("--x", None, 1, 5)) == (1, 5, None)
