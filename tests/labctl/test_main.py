"""How a command line ends: its exit code, and what is on which stream."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from labctl.__main__ import run
from labctl.cli import app as application
from labctl.errors import AnswerIsNo


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """A command line whose only command the test defines."""
    planted = typer.Typer(rich_markup_mode=None)
    planted.callback()(lambda: None)
    monkeypatch.setattr(application, "app", planted)
    return planted


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("labctl 0.")


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: labctl" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["deploi"], "labctl: No such command 'deploi'"),
        (["check", "--frobnicate"], "labctl: No such option: --frobnicate — see `labctl check --help`"),
        (["check", "--only"], "labctl: Option '--only' requires an argument — see `labctl --help`"),
        (
            ["deploy", "a.py", "b.py"],
            "labctl: Got unexpected extra argument(s) (b.py) — see `labctl deploy --help`",
        ),
        (["deploy", "--data", "x"], "labctl: --data: not a setting (found 'x', expected KEY=VALUE)"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith(complaint)
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize("arguments", [["check", "--frobnicate", "--json"], ["deploi", "--json"], ["--json"]])
def test_bad_usage_is_json_when_json_was_asked_for(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["exit_code"] == 2
    assert said.err == ""


def test_what_follows_two_dashes_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deploi", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_an_error_brings_its_own_exit_code(command: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    @command.command()
    def place() -> None:
        raise AnswerIsNo("does not fit", hint="free a card")

    assert run(["place"]) == 3
    assert capsys.readouterr().err == "labctl: does not fit — free a card\n"


def test_a_commands_exit_code_is_the_process_s(command: typer.Typer) -> None:
    @command.command()
    def place() -> None:
        raise typer.Exit(3)

    assert run(["place"]) == 3


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_surprise_is_a_sentence_and_a_traceback_on_request(
    debug: str, command: typer.Typer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @command.command()
    def place() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setenv("LABCTL_DEBUG", debug)
    assert run(["place"]) == 1
    said = capsys.readouterr().err
    assert "labctl: unexpected ZeroDivisionError: division by zero — " in said
    assert "LABCTL_DEBUG=1" in said
    assert ("Traceback" in said) is (debug == "1")


def test_a_surprise_is_json_when_json_was_asked_for(
    command: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    @command.command()
    def place(*, json: bool = False) -> None:
        raise ZeroDivisionError(json)

    assert run(["place", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 1


def test_ctrl_c(command: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    @command.command()
    def place() -> None:
        raise KeyboardInterrupt

    assert run(["place"]) == 130
    assert capsys.readouterr().err.startswith("labctl: interrupted")


def test_declining_a_question_is_no_success(
    command: typer.Typer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @command.command()
    def place() -> None:
        typer.confirm("sure?", abort=True)

    monkeypatch.setattr("typer._click.termui.visible_prompt_func", lambda _prompt: "n")
    assert run(["place"]) == 1
    assert capsys.readouterr().err == "labctl: stopped at a question; nothing was done\n"


def test_a_reader_that_has_gone_is_no_reason_to_complain() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-m", "labctl", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert result.stderr == ""
    assert result.returncode == 1


def test_ctrl_c_reaches_a_real_process(tmp_path: Path) -> None:
    """SIGINT while a command runs: no traceback, exit code 130."""
    ready = tmp_path / "ready"
    code = (
        "import time, typer, pathlib; from labctl.cli import app as application; from labctl.__main__ import main\n"
        "application.app = typer.Typer(); application.app.callback()(lambda: None)\n"
        f"wait = lambda: (pathlib.Path({str(ready)!r}).touch(), time.sleep(60))\n"
        "application.app.command('wait')(wait); main()"
    )
    # A shell's background job, which CI may be, has SIGINT ignored, and so would its children.
    heeding = ["env", "--default-signal=INT", sys.executable, "-c", code, "wait"]
    process = subprocess.Popen(heeding, stderr=subprocess.PIPE, text=True)
    while not ready.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint.count("\n")) == (130, 1)
