"""What the README shows is what is printed."""

import re
from pathlib import Path

from labctl.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_picture_is_what_place_prints() -> None:
    case = ROOT / "tests" / "cases" / "place_text" / "home-yes"
    question, printed = (case / "question.txt").read_text(), (case / "answer.txt").read_text()
    assert f"```\n$ labctl place {question}{printed}```\n" in README


def test_it_fits_a_screen() -> None:
    assert len(README.splitlines()) <= 66  # a page of paper


def test_its_make_targets_exist() -> None:
    named = set(re.findall(r"^    make ([a-z-]+)", README, flags=re.MULTILINE))
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"test", "demo"} <= named <= defined


def test_its_commands_exist() -> None:
    named = set(re.findall(r"\blabctl ([a-z]+)\b", README)) - {"makes", "sets"}
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {group.name for group in app.registered_groups if group.name}
    assert {"fit", "deploy", "check", "verify"} <= named <= commands


def test_its_files_exist() -> None:
    named = re.findall(r"\b(?:deploy|inventory)/\w+\.py|\b[A-Z]+\.md\b", README)
    assert [name for name in named if not (ROOT / name).is_file()] == []
