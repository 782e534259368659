"""Plans as files: tests/cases/plan/NAME holds a command line, its files, and what comes of it.

`UPDATE_CASES=1 python -m pytest tests/labctl/cli/test_plan_cases.py` writes the answers anew; read the diff.
"""

import json
import os
import shutil
from pathlib import Path

import pytest

from labctl.plan.plan_json import dump, load
from tests.labctl.cli.fit_command import Answer, Command

CASES = Path(__file__).parents[2] / "cases" / "plan"
NAMES = sorted(path.name for path in CASES.iterdir())
cases = pytest.mark.parametrize("case", NAMES)
OUT = "plan.json"
# How they end; the others with 0.
DIFFERENT = {"card-dead", "file-changed", "diff", "diff-swapped", "live-rig"}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def asked(case: str, capsys: pytest.CaptureFixture[str], *more: str) -> Answer:
    """Run where the case's files are, but for what is to be written."""
    name, *arguments = (CASES / case / "question.txt").read_text().split()
    for file in (CASES / case).iterdir():
        if file.name != OUT or "--keep plan.json" in " ".join(arguments) or name == "diff":
            shutil.copy(file, file.name)
    answer = Command(capsys, name)(*arguments, *more)
    assert answer.err == ""
    assert answer.code == (3 if case in DIFFERENT else 0)
    return answer


def held_against(path: Path, found: str) -> None:
    if os.environ.get("UPDATE_CASES") == "1":
        path.write_text(found)
    assert found == path.read_text()


def of_plans(case: str, text: str) -> str:
    """What `labctl place` says of plans, which is the end; all that `labctl diff` says."""
    if (CASES / case / "question.txt").read_text().startswith("diff"):
        return text
    starts = [
        at for word in ("\nAgainst ", "\nNothing changes", "\nThe plan is ") if (at := text.find(word)) >= 0
    ]
    return text[min(starts) + 1 :]


@cases
def test_text_and_plan(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = of_plans(case, asked(case, capsys).out)
    held_against(CASES / case / "answer.txt", text)
    assert [line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()] == []
    if "--out" in (CASES / case / "question.txt").read_text():
        held_against(CASES / case / OUT, Path(OUT).read_text())


@cases
def test_document(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = asked(case, capsys, "--json").document
    if "placements" in document:
        document = {key: document[key] for key in ("changes", "out")}
    held_against(CASES / case / "answer.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")


@cases
def test_every_plan_is_as_it_would_be_written(case: str) -> None:
    for path in (CASES / case).glob("*.json"):
        if path.name != "answer.json":
            assert dump(load(path.read_text(), path.name)) == path.read_text()


def test_a_plan_that_stays_is_not_even_written(capsys: pytest.CaptureFixture[str]) -> None:
    asked("noop-keep", capsys)
    first = Path(OUT).stat()
    Command(capsys, "place")("workloads.yaml", "--rig", "rig.yaml", "--keep", OUT, "--out", OUT)
    assert (Path(OUT).stat().st_ino, Path(OUT).stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert (CASES / "noop-keep" / OUT).read_bytes() == (CASES / "first" / OUT).read_bytes()


def test_no_secret_gets_out(capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked("secrets", capsys)
    assert "donotwrite" not in Path(OUT).read_text() + answer.out + asked("secrets", capsys, "--json").out


def test_no_ops_are_among_the_cases() -> None:
    assert {"noop-keep", "noop-diff"} < set(NAMES)


def test_a_failed_write_leaves_the_old_plan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("noop-keep", capsys)
    old = Path(OUT).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("labctl.edges.whole_file.os.fsync", full)
    Path("workloads.yaml").write_text(Path("workloads.yaml").read_text().replace("dns:1", "dns:2"))
    said = Command(capsys, "place")("workloads.yaml", "--rig", "rig.yaml", "--keep", OUT, "--out", OUT)
    assert (said.code, said.err) == (
        1,
        "labctl: plan.json: the plan cannot be written (found No space left on device)\n",
    )
    assert Path(OUT).read_bytes() == old
    assert [path.name for path in Path().iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("diff", "nowhere.json", "plan.json"), ("nowhere.json", "cannot be read", "labctl place")),
        (("diff", "plan.json", "."), (".: ", "cannot be read")),
        (("diff", "plan.json", "rig.yaml"), ("rig.yaml", "no JSON")),
        (("diff", "plan.json", "plan.json", "--rig", "rig.yaml"), ("--rig", "labctl diff plan.json live")),
        (("diff", "plan.json", "live", "--rig", "rig.yaml", "--inventory", "x.py"), ("--rig", "twice")),
        (
            ("place", "workloads.yaml", "--rig", "rig.yaml", "--replace", "a=b"),
            ("--replace", "--keep plan.json"),
        ),
        (
            ("place", "workloads.yaml", "--rig", "rig.yaml", "--keep", "plan.json", "--replace", "a=b"),
            ("--replace", "found a", "GPU-aaaaaaaa"),
        ),
    ],
)
def test_bad_input_is_told_in_a_line(
    arguments: tuple[str, ...], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (CASES / "noop-keep").iterdir():
        shutil.copy(file, file.name)
    said = Command(capsys, arguments[0]).refusal(*arguments[1:])
    assert all(word in said for word in words), said
