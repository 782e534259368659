"""What a person reads, as files: tests/cases/fit/NAME holds a question and both answers.

`UPDATE_CASES=1 python -m pytest tests/labctl/cli/test_fit_text.py` writes the answers anew; read the diff.
"""

import json
import os
import re
from pathlib import Path

import pytest

from labctl.cli.app import app
from tests.labctl.cli.fit_command import Command, gguf

CASES = Path(__file__).parents[2] / "cases" / "fit"
COLUMNS = 80
cases = pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))


def words(case: str) -> list[str]:
    return (CASES / case / "question.txt").read_text().split()


def held_against(path: Path, found: str) -> None:
    if os.environ.get("UPDATE_CASES") == "1":
        path.write_text(found)
    assert found == path.read_text()


@cases
def test_text(case: str, fit: Command) -> None:
    answer = fit(*words(case))
    assert answer.err == ""
    held_against(CASES / case / "answer.txt", answer.out)


@cases
def test_document(case: str, fit: Command) -> None:
    answer = fit(*words(case), "--json")
    held_against(
        CASES / case / "answer.json", json.dumps(answer.document, indent=1, ensure_ascii=False) + "\n"
    )


@cases
def test_lines_are_of_80_columns_and_plain(case: str) -> None:
    text = (CASES / case / "answer.txt").read_text()
    # What cannot be broken is a name, a path or an option.
    too_wide = [line for line in text.splitlines() if len(line) > COLUMNS and " " in line.strip()]
    assert too_wide == []
    assert "\x1b" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert text.endswith("\n")
    assert "\n\n\n" not in text


@cases
def test_the_verdict_comes_first(case: str) -> None:
    paragraphs = (CASES / case / "answer.txt").read_text().split("\n\n")
    if words(case)[0].startswith("-"):
        assert paragraphs[0].startswith("What fits on ")
    else:
        assert re.match(r"(Yes|No): |\S+ takes ", paragraphs[1])


def test_more_cards_than_columns(fit: Command) -> None:
    answer = fit("llama-3.1-405b", "--gpu", "rtx-3060:9", "--quant", "Q2_K", "--gpus", "9")
    assert max(map(len, answer.out.splitlines())) <= COLUMNS
    assert "card 0–8: RTX 3060 12G" in answer.out
    assert "card 8\n" in answer.out


def test_the_fullest_card_is_the_one_with_least_left(fit: Command) -> None:
    """21 GiB on the 3090 leave more than 10 GiB on the 3060."""
    answer = fit("llama-3.1-70b", "--gpu", "rtx-3090,tesla-p40,rtx-3060", "--gpus", "3")
    assert " of 10.6 GiB usable on the fullest card.\n" in answer.out


def examples() -> list[list[str]]:
    """The example lines of --help."""
    (command,) = [
        each.callback for each in app.registered_commands if each.callback and each.callback.__name__ == "fit"
    ]
    return [
        line.split()[2:]
        for line in (command.__doc__ or "").splitlines()
        if line.startswith("      labctl fit ")
    ]


@pytest.mark.parametrize("example", examples(), ids=" ".join)
def test_the_help_s_examples_work(
    example: list[str], fit: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model-Q4_K_M.gguf").symlink_to(gguf(tmp_path))
    (tmp_path / "workloads").symlink_to(Path("workloads").resolve())
    monkeypatch.chdir(tmp_path)
    answer = fit(*example)
    assert (answer.code in (0, 3), answer.err) == (True, "")


def test_there_are_examples() -> None:
    assert len(examples()) == 6
