"""What cannot be meant so is refused in one line: where, what was found, what belongs there, what to do."""

import os
import shlex
from pathlib import Path

import pytest

from labctl.cli.fit_options import number, size, tokens
from labctl.errors import BadInput
from tests.labctl.cli.fit_command import Command, gguf

CASES = Path(__file__).parents[2] / "cases" / "fit_refusals.txt"
LONG = "x" * 5000
TOO_LONG = {
    ("llama-3.1-8b", "--gpu", LONG): "--gpu: no GPU of that name in the catalogue (found xxx",
    ("llama-3.1-8b", "--gpu", f"rtx-3090:{'1' * 5000}"): "--gpu: not a number of cards (found rtx-3090:111",
    (LONG,): "MODEL: no model of that name in the catalogue, and no such file (found xxx",
    (f"/{LONG}.gguf",): "/xxx",
}


def cases() -> dict[str, str]:
    """Command line → what is said, from the file; UPDATE_CASES=1 writes it anew."""
    lines = CASES.read_text().splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def test_it_is_said(fit: Command) -> None:
    """Every case is one line; together they are read as a page of the manual would be."""
    found = {line: f"  {fit.refusal(*shlex.split(line)[2:])}" for line in cases()}
    if os.environ.get("UPDATE_CASES") == "1":
        CASES.write_text("".join(f"{line}\n{said}\n" for line, said in found.items()))
    assert found == cases()


@pytest.mark.parametrize(("words", "said"), TOO_LONG.items(), ids=range(len(TOO_LONG)))
def test_what_is_too_long_to_be_meant(words: tuple[str, ...], said: str, fit: Command) -> None:
    refusal = fit.refusal(*words)
    assert refusal.startswith(said)


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
