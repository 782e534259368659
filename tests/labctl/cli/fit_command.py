"""Runs `labctl fit` in this process, as a person without a GPU and without measurements of their own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.__main__ import run
from labctl.rig.rig import Rig
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import write


@dataclass(frozen=True)
class Answer:
    """What one command line came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """stdout, which is JSON and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Command:
    """`labctl fit`, or another command."""

    def __init__(self, capsys: pytest.CaptureFixture[str], name: str = "fit") -> None:
        self._capsys = capsys
        self._name = name

    def __call__(self, *arguments: str) -> Answer:
        self._capsys.readouterr()
        code = run([self._name, *arguments])
        said = self._capsys.readouterr()
        return Answer(code, said.out, said.err)

    def refusal(self, *arguments: str) -> str:
        """The one line of a command line that cannot be meant so."""
        answer = self(*arguments)
        assert (answer.code, answer.out) == (2, ""), arguments
        assert answer.err.count("\n") == 1, answer.err
        assert answer.err.startswith("labctl: ")
        return answer.err.removeprefix("labctl: ").rstrip("\n")


def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path, rig: Rig | None = None
) -> Command:
    """home: where measurements are kept. rig: this machine's cards."""
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setattr("labctl.cli.fit_answer.live_rig", lambda: rig)
    return Command(capsys)


def gguf(folder: Path, model: str = "llama-3.1-8b") -> str:
    """The path of a GGUF file with a model's true header and no data."""
    path = folder / f"{model}.gguf"
    write(path, SHAPES[model]())
    return str(path)
