"""Whole runs as files: tests/cases/runs/NAME holds the events of a run and everything that is printed about it."""

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.cli.document import run_document
from labctl.cli.progress import line_of
from labctl.cli.report import RunReport, report_of
from labctl.cli.show import show_run
from labctl.cli.summary import summary
from labctl.edges.events import Ended, Event, HostConnected, Mode, Note, Question, Refused, Started, parse
from labctl.errors import BadInput

if TYPE_CHECKING:
    from labctl.cli.bars import Bars

CASES = Path(__file__).parents[2] / "cases" / "runs"
PHONE_COLUMNS = 40


def events_of(case: str) -> list[Event]:
    return [parse(line) for line in (CASES / case / "events.jsonl").read_text().splitlines()]


def mode_of(case: str) -> Mode:
    started = events_of(case)[0]
    assert isinstance(started, Started)
    return started.mode


def report(case: str) -> RunReport:
    return report_of(mode_of(case), events_of(case))


cases = pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))


@cases
def test_summary(case: str) -> None:
    text = summary(report(case), inventory="inventory/home.py", width=PHONE_COLUMNS)
    assert text == (CASES / case / "summary.txt").read_text()


@cases
def test_summary_fits_a_phone(case: str) -> None:
    text = (CASES / case / "summary.txt").read_text()
    # What a program printed is not wrapped, and a path is not broken.
    too_wide = [line for line in text.splitlines() if len(line) > PHONE_COLUMNS]
    assert [line for line in too_wide if " | " not in line and "/" not in line] == []


@cases
def test_document(case: str) -> None:
    assert json.loads(json.dumps(run_document(report(case)))) == json.loads(
        (CASES / case / "document.json").read_text()
    )


@cases
def test_progress_lines(case: str) -> None:
    lines = [line for event in events_of(case) if (line := line_of(event, verbosity=0))]
    assert lines == (CASES / case / "progress.txt").read_text().splitlines()


def test_verbose_progress_says_what_did_not_change() -> None:
    lines = [line for event in events_of("deploy-nothing") if (line := line_of(event, verbosity=1))]
    assert "aibox: base: sysctl values: unchanged" in lines


def test_another_inventory_is_named_in_the_next_step() -> None:
    text = summary(report("check-pending"), inventory="my lab.py", width=PHONE_COLUMNS)
    assert text.endswith("Next: labctl deploy 'my lab.py'\n")


def test_a_run_that_never_ended_has_failed() -> None:
    assert report_of("deploy", events_of("deploy-nothing")[:-1]).exit_code == 1
    assert report_of("deploy", events_of("deploy-nothing")[:-2]).hosts["aibox"].status == "unfinished"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_refused_run_is_bad_input(as_json: bool) -> None:
    refused = Refused("not a size", where="inventory/home.py: aibox", hint="correct it")
    with pytest.raises(BadInput, match=r"^inventory/home\.py: aibox: not a size — correct it$"):
        show_run("deploy", "inventory/home.py", iter([refused, Ended(2)]), as_json=as_json, verbosity=0)


def test_json_is_alone_on_stdout_and_nothing_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = show_run("check", "x.py", iter(events_of("check-pending")), as_json=True, verbosity=1)
    said = capsys.readouterr()
    assert code == 3
    assert json.loads(said.out)["hosts"]["aibox"]["status"] == "changes pending"
    assert said.err == ""


def test_a_question_is_shown_beside_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    show_run("deploy", "x.py", iter(events_of("deploy-question")), as_json=True, verbosity=0)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["exit_code"] == 0
    assert printed.err.count("\n") == 1
    assert "Type yes within" in printed.err


def test_the_answer_is_on_stdout_and_progress_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        show_run("deploy", "inventory/home.py", iter(events_of("deploy-changes")), as_json=False, verbosity=0)
        == 0
    )
    said = capsys.readouterr()
    assert said.err == (CASES / "deploy-changes" / "progress.txt").read_text()
    assert said.out.endswith("Done. Next: labctl verify\n")


def test_events_are_shown_while_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def slow() -> Iterator[Event]:
        for event in events_of("deploy-nothing"):
            yield event
            seen.append(capsys.readouterr().err)

    show_run("deploy", "inventory/home.py", slow(), as_json=False, verbosity=0)
    assert seen[1] == "aibox: connected\n"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal to draw on, whatever the tests themselves run in."""
    monkeypatch.setenv("TERM", "xterm")
    return io.StringIO()


@contextmanager
def bars_on(screen: io.StringIO, columns: int) -> Iterator["Bars"]:
    from rich.console import Console

    from labctl.cli.bars import Bars

    with Bars(Console(file=screen, force_terminal=True, width=columns)) as bars:
        yield bars


@cases
def test_the_bars_take_every_run(case: str, screen: io.StringIO) -> None:
    with bars_on(screen, PHONE_COLUMNS) as bars:
        for event in events_of(case):
            bars.show(event)
        bars.refresh()
    hosts = {host for event in events_of(case) if isinstance(event, Started) for host in event.hosts}
    assert {host for host in hosts if host not in screen.getvalue()} == set()


def test_brackets_in_names_are_no_markup(screen: io.StringIO) -> None:
    with bars_on(screen, 80) as bars:
        bars.show(Started("deploy", ("fd00::1 [bold]",)))
        bars.show(Note("", "", "the deploy process ended"))
        bars.refresh()
    assert "fd00::1 [bold]" in screen.getvalue()


def test_nothing_moves_while_a_question_waits(screen: io.StringIO) -> None:
    with bars_on(screen, 80) as bars:
        bars.show(Started("deploy", ("@local",)))
        bars.show(Question("@local", "firewall", "can you still log in? [yes]"))
        asked = len(screen.getvalue())
        time.sleep(0.3)  # three ticks of the moving lines
        assert screen.getvalue().endswith("@local: can you still log in? [yes] ")
        assert len(screen.getvalue()) == asked
        bars.show(HostConnected("@local"))
        bars.refresh()
        assert len(screen.getvalue()) > asked


@pytest.mark.parametrize(("terminal", "moving"), [("xterm", True), ("dumb", False)])
def test_lines_move_only_where_they_can(terminal: str, moving: bool) -> None:
    """On a terminal of its own, since pytest's is none."""
    code = (
        "from labctl.cli.progress import watched; from labctl.edges.events import *\n"
        "list(watched([Started('deploy', ('aibox',)), HostConnected('aibox')], verbosity=0))"
    )
    mine, its = pty.openpty()
    environment = {**os.environ, "TERM": terminal}
    subprocess.run([sys.executable, "-c", code], stderr=its, env=environment, check=True)
    os.close(its)
    assert (b"\x1b[" in os.read(mine, 65536)) is moving
    os.close(mine)
