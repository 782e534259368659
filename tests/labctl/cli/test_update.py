"""`labctl update host`: shown, asked about, and only then done."""

import io
import json
import sys
from collections.abc import Iterator

import pytest

from labctl.__main__ import run as run_command
from labctl.cli import update_answer
from labctl.edges import events
from labctl.edges.deploy_request import DeployRequest
from labctl.errors import BAD_INPUT, DONE, FAILED
from tests.labctl.cli.fit_command import Command

MOVES = "kernel 6.12.107+deb13-amd64 → 6.12.110+deb13-amd64, driver 550.163.01 → 550.163.02, 14 packages"
SHOWN = """\
aibox: would move
  kernel and driver: kernel 6.12.107+deb13-amd64 → 6.12.110+deb13-amd64, driver
    550.163.01 → 550.163.02, 14 packages
  reboot: into the new kernel and driver
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Driver:
    """Answers as the driver process would. pending: what a look finds."""

    def __init__(self, *pending: events.Pending, planned: int = 3, failed: bool = False) -> None:
        self.pending, self.planned, self.failed = pending, planned, failed
        self.requests: list[DeployRequest] = []

    def __call__(self, request: DeployRequest) -> Iterator[events.Event]:
        self.requests.append(request)
        yield events.Started(request.mode, ("aibox",))
        if self.failed:
            yield events.HostFailed("aibox", "connect", "no answer", "is it on?")
            yield events.Ended(1)
            return
        yield events.HostPlanned("aibox", ("host_update",), self.planned)
        if request.mode == "check":
            yield from self.pending
            yield events.CheckFinished("aibox", self.planned, len(self.pending), 2)
            yield events.Ended(3 if self.pending else 0)
            return
        for each in self.pending:
            yield events.OperationFinished("aibox", "host_update", each.name, "changed", each.reason)
        yield events.HostDone("aibox", len(self.pending), 3 - len(self.pending), 0, 4)
        yield events.Ended(0)


PENDING = (
    events.Pending("aibox", "host_update", "kernel and driver", "certain", "new host", MOVES),
    events.Pending(
        "aibox", "host_update", "reboot", "possible", "new host", "into the new kernel and driver"
    ),
)


@pytest.fixture
def update(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "update")


def driven(monkeypatch: pytest.MonkeyPatch, driver: Driver, typed: str | None = None) -> Driver:
    monkeypatch.setattr(update_answer, "run", driver)
    monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Terminal(typed))
    return driver


def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(
    update: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = driven(monkeypatch, Driver(*PENDING))
    assert "--yes" in update.refusal("host")
    assert driver.requests == []


def test_what_would_move_is_shown_and_a_no_leaves_it_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = driven(monkeypatch, Driver(*PENDING), "n\n")
    assert run_command(["update", "host"]) == FAILED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert SHOWN in printed.err
    assert "nothing was moved" in printed.err
    assert [each.mode for each in driver.requests] == ["check"]


def test_a_yes_moves_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    driver = driven(monkeypatch, Driver(*PENDING), "y\n")
    assert run_command(["update", "host", "home.py", "--limit", "aibox"]) == DONE
    assert [each.mode for each in driver.requests] == ["check", "update"]
    assert {(each.inventory, each.limit) for each in driver.requests} == {("home.py", ("aibox",))}
    assert {each.deploy_file.rpartition("/")[2] for each in driver.requests} == {"update_host.py"}
    assert capsys.readouterr().out.endswith("Done. Next: labctl verify home.py\n")


def test_beside_json_the_question_is_no_part_of_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    driven(monkeypatch, Driver(*PENDING), "y\n")
    assert run_command(["update", "host", "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["mode"] == "update"
    assert document["hosts"]["aibox"]["operations"][0]["reason"] == MOVES


def test_with_yes_it_is_done_at_once(update: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driven(monkeypatch, Driver(*PENDING))
    assert update("host", "--yes").code == DONE
    assert [each.mode for each in driver.requests] == ["update"]


def test_nothing_to_move_is_said_and_nothing_asked(update: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driven(monkeypatch, Driver(), "")
    answer = update("host")
    assert (answer.code, answer.out) == (DONE, "aibox: up to date\n")
    assert [each.mode for each in driver.requests] == ["check"]
    assert update("host", "--json").document["hosts"]["aibox"]["status"] == "ok"
    driven(monkeypatch, Driver(planned=0), "")
    assert "a container" in update("host").out
    driven(monkeypatch, Driver())
    assert update("host", "--yes").out.endswith("Kernel and driver are up to date.\n")


def test_a_host_that_does_not_answer_is_a_failure(update: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    driven(monkeypatch, Driver(failed=True), "")
    answer = update("host")
    assert answer.code == FAILED
    assert answer.out == "aibox: cannot be moved\n  no answer\n    is it on?\n"
    assert update("host", "--json").code == FAILED


def test_what_cannot_be_updated_is_refused(update: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driven(monkeypatch, Driver())
    said = update.refusal("files", "--yes")
    assert "services are not moved by it yet, hosts alone are (found files, expected host)" in said
    assert "`image: …` under files in the workloads file, then labctl place and labctl apply" in said
    assert driver.requests == []
    assert run_command(["update"]) == BAD_INPUT
