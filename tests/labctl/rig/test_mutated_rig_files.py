"""Rig files as they come out of a hurried editor: an answer or a sentence with file and place, never a traceback."""

import json
import random
import re
from pathlib import Path

import pytest

from labctl.__main__ import run
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE
from tests.house_rules.tree import ROOT

SEEDS = sorted((ROOT / "workloads" / "rigs").glob("*.yaml"))
SNIPPETS = (
    *(
        "\t",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "<<: *a",
        "!!python/object:os.system",
        "|",
        "%YAML 9",
        "\x00",
    ),
    *(
        "99999999999999999999",
        "1e400",
        ".inf",
        ".nan",
        "-1",
        "0",
        "0x7fffffff",
        "1_0",
        "yes",
        "~",
        "2026-01-01",
        "'",
    ),
    *(
        "nvlink: [[0, 99]]",
        "nvlink: [[0, 0]]",
        "count: 64",
        "memory_unknown: true",
        "model: rtx-9999",
        "\u2028",
        "é",
    ),
    *(
        "? [a, b] : c",
        "uuid: GPU-00000000",
        "pcie: {generation: 4}",
        "compute_capability: '99.9'",
        "[" * 200,
        "---\n",
    ),
)
LARGE = 10_000


def mutated(text: str, chance: random.Random) -> str:
    """One to four edits: cut, doubled, swapped or indented lines, and things that do not belong there."""
    for _ in range(chance.randint(1, 4)):
        lines = text.split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        column = chance.randint(0, len(lines[at]))
        kind = chance.randrange(8)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(other, lines[at])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines[at] = " " * chance.randint(0, 6) + lines[at].lstrip()
        elif kind == 4:
            lines[at] = lines[at][:column] + chance.choice(SNIPPETS) + lines[at][column:]
        elif kind == 5:
            lines[at] = lines[at][:column] + lines[at][column + chance.randint(1, 5) :]
        elif kind == 6:
            lines[at] = re.sub(r": .*", f": {chance.choice(SNIPPETS)}", lines[at], count=1)
        else:
            lines[at] = re.sub(r"\d+", lambda _: str(chance.choice((0, -1, 10**30, 7))), lines[at])
        text = "\n".join(lines)
    return text


def hold(count: int, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[int, int]:
    """How often each exit code came; fails at the first file that is not answered as it should be."""
    chance = random.Random(seed)
    texts = [path.read_text() for path in SEEDS]
    found: dict[int, int] = {}
    path = tmp_path / "rig.yaml"
    for number in range(count):
        text = mutated(chance.choice(texts), chance)
        path.write_text(text)
        code = run(["gpus", "--rig", str(path), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert code in (DONE, BAD_INPUT, ANSWER_IS_NO), (seed, number, said, text)
        if code == BAD_INPUT:
            where = said["error"]["where"] or ""
            assert re.match(rf"{re.escape(str(path))}(:\d+|: hosts\.|$)", where), (seed, number, said, text)
            assert where != str(path) or "empty" in said["error"]["message"], (seed, number, said, text)
        found[code] = found.get(code, 0) + 1
    return found


def test_mutated_rig_files_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = hold(500, 1, tmp_path, capsys)
    # Mutations that are all refused, or all accepted, would test nothing.
    assert min(found.get(DONE, 0), found.get(BAD_INPUT, 0)) > 50


@pytest.mark.nightly
def test_many_mutated_rig_files_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(LARGE, 2, tmp_path, capsys)


def test_a_file_that_is_no_text_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rig.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    assert run(["gpus", "--rig", str(path)]) == BAD_INPUT
    assert str(path) in capsys.readouterr().err


def test_a_few_lines_cannot_fill_the_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rig.yaml"
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(9)]
    path.write_text("\n".join(rows))
    assert run(["gpus", "--rig", str(path)]) == BAD_INPUT
    assert f"{path}:1" in capsys.readouterr().err
