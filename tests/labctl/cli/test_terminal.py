"""What an answer may use: the width there is, colour for a person, blocks where the encoding has them."""

import io
import sys

import pytest

from labctl.cli.terminal import here, waiting


@pytest.mark.parametrize(("columns", "used"), [("200", 80), ("80", 80), ("61", 61), ("12", 40)])
def test_lines_are_as_wide_as_the_window_and_at_most_80(
    columns: str, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert here().columns == used


@pytest.mark.parametrize(
    ("encoding", "ascii_only"), [("utf-8", False), ("ascii", True), ("iso-8859-1", True), ("cp437", True)]
)
def test_blocks_are_drawn_where_they_can_be(
    encoding: str, ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert here().ascii_only is ascii_only


@pytest.mark.parametrize(
    ("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_a_person_who_did_not_say_otherwise(
    environment: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert here().colour is colour


def test_a_pipe_has_no_colour() -> None:
    assert here().colour is False


@pytest.mark.parametrize(("terminal", "expected"), [(True, "Looking …\r\x1b[K"), (False, "")])
def test_what_takes_long_is_told_to_a_person_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, expected: str
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with waiting("Looking"):
        pass
    assert capsys.readouterr() == ("", expected)
