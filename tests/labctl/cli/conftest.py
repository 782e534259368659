"""`labctl fit`, `labctl place`, `labctl apply` and `labctl rollback` for the tests beside."""

import io
import sys
from pathlib import Path

import pytest

from labctl.cli import apply_answer, apply_hosts, rollback_answer
from labctl.edges import applying
from tests.labctl.apply.house import CARDS, HOME, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedModels, SimulatedShell
from tests.labctl.cli.fit_command import Command, command


@pytest.fixture
def fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`labctl fit` on a machine without a GPU."""
    return command(capsys, monkeypatch, tmp_path / "share")


@pytest.fixture
def place(capsys: pytest.CaptureFixture[str]) -> Command:
    """`labctl place`."""
    return Command(capsys, "place")


@pytest.fixture
def shell(tmp_path: Path) -> SimulatedShell:
    """A host with two cards, with nothing on it."""
    return SimulatedShell(tmp_path / "root", cards=CARDS)


@pytest.fixture
def house(tmp_path: Path, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch) -> House:
    """That host, with a plan of two services; nobody sits there."""
    made = House(tmp_path, {"aibox": shell})
    made.write(HOME)
    monkeypatch.setattr(apply_answer, "host_shells", made.opened)
    monkeypatch.setattr(rollback_answer, "host_shells", made.opened)
    monkeypatch.setattr(apply_hosts, "models_folders", lambda _inventory: {})
    monkeypatch.setattr(applying, "HostModels", SimulatedModels)
    monkeypatch.setattr(applying, "RECONNECT_SECONDS", (0, 0, 0))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return made


@pytest.fixture
def apply(capsys: pytest.CaptureFixture[str], house: House) -> Applying:
    """`labctl apply`, of the house's plan."""
    return Applying(Command(capsys, "apply"), house)


@pytest.fixture
def rollback(capsys: pytest.CaptureFixture[str]) -> Command:
    """`labctl rollback`."""
    return Command(capsys, "rollback")
