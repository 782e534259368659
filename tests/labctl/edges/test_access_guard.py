"""A change that could lock its client out, on the machine itself: a person at a terminal is asked, or nobody is."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector

from labctl.edges import access_guard
from labctl.edges.access_guard import confirm_access, refuse_unconfirmable
from labctl.errors import Failed, LabctlError


@dataclass
class Rules:
    name: str = "rules"
    undo_seconds: float = 20
    advice: str = "correct the settings"


@dataclass
class Machine:
    """Stands in for pyinfra's host and for the reporter of the run."""

    name: str = "@local"
    connector: Any = field(default_factory=lambda: LocalConnector.__new__(LocalConnector))
    data: dict[str, object] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def note(self, _: object, message: str) -> None:
        self.said.append(message)

    def problem(self, _: object, problem: LabctlError) -> None:
        self.said.append(str(problem))

    def question(self, _: object, message: str) -> None:
        self.questions.append(message)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(access_guard, "reporter", lambda: machine)
    return machine


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("labctl.edges.access_guard.time.sleep", seconds.append)
    return seconds


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """What is written here is typed at the terminal that is our standard input."""
    master, slave = pty.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        yield master
    os.close(master)


def _confirm(machine: Machine, rules: Rules) -> bool:
    return confirm_access(None, machine, rules)  # type: ignore[arg-type]  # all it looks at is there


@pytest.mark.parametrize("answer", ["yes", "Y"])
def test_yes_keeps_the_change(machine: Machine, keyboard: int, slept: list[float], answer: str) -> None:
    os.write(keyboard, f"{answer}\n".encode())
    assert _confirm(machine, Rules())
    (question,) = machine.questions
    assert "Can you still log in over SSH" in question
    assert "within 20 s" in question
    assert (machine.said, slept) == ([], [])


@pytest.mark.parametrize("answer", ["no", "", "yesterday"])
def test_anything_else_leaves_it_to_the_host_to_undo(
    machine: Machine, keyboard: int, slept: list[float], answer: str
) -> None:
    os.write(keyboard, f"{answer}\n".encode())
    assert not _confirm(machine, Rules())
    assert machine.said == [
        "rules: nobody said that SSH still works; the host undoes the change by itself within 20 s",
        "rules: the change was not confirmed; the host undid it by itself — correct the settings",
    ]
    assert 20 < sum(slept) <= 22


@pytest.mark.usefixtures("keyboard")
def test_a_person_who_went_away_is_not_waited_for(machine: Machine, slept: list[float]) -> None:
    assert not _confirm(machine, Rules(undo_seconds=0.1))
    assert len(machine.questions) == 1
    # What the question took is not waited for once more.
    assert sum(slept) <= 2


def test_a_yes_given_in_advance_is_not_asked_for(machine: Machine) -> None:
    machine.data["firewall_confirmed"] = True
    refuse_unconfirmable(machine, Rules())  # type: ignore[arg-type]  # as above
    assert _confirm(machine, Rules())
    assert machine.questions == []


def test_where_nobody_can_answer_the_change_is_refused_before_it_is_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        with pytest.raises(Failed, match="nobody is here") as refused:
            refuse_unconfirmable(machine, Rules())  # type: ignore[arg-type]  # as above
        assert "firewall_confirmed=true" in str(refused.value.hint)
        machine.connector = SSHConnector.__new__(SSHConnector)
        refuse_unconfirmable(machine, Rules())  # type: ignore[arg-type]  # a new connection answers


@pytest.mark.usefixtures("keyboard")
def test_at_a_terminal_it_is_not_refused(machine: Machine) -> None:
    refuse_unconfirmable(machine, Rules())  # type: ignore[arg-type]  # as above
