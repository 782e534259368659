"""A host that reboots in the middle of a deploy: waited for, gone on with, and never the machine that deploys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

from labctl.edges import host_session, reboots
from labctl.edges.reboots import refuse_own_reboot, wait_for_reboot
from labctl.errors import Failed, LabctlError
from labctl.hoststate.guard import Guarded
from labctl.hoststate.reboot import Rebooting
from roles.nvidia_driver.module import LoadedModule

MODULE = LoadedModule("6.12", ())


@dataclass
class Machine:
    """Stands in for pyinfra's host; `script` is what each attempt to ask it meets."""

    script: list[str]
    name: str = "aibox"
    connected: bool = True
    connector: Any = field(default_factory=lambda: SSHConnector.__new__(SSHConnector))
    said: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def connect(self, *, show_errors: bool) -> None:
        assert not show_errors
        if self.connected:
            return
        self.connected = self.script[0] != "refused" or bool(self.script.pop(0)) is False

    def disconnect(self) -> None:
        self.connected = False

    def note(self, _: object, message: str) -> None:
        self.noted.append(message)

    def problem(self, _: object, problem: LabctlError) -> None:
        self.said.append(str(problem))


def wait(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> bool:
    clock = iter(range(0, 100_000, 10))

    def ask(*_: object, **__: object) -> tuple[bool, CommandOutput]:
        met = machine.script.pop(0)
        if met == "broken":
            raise Failed("the connection broke")
        lines = [OutputLine("stdout", "back")] if met == "back" else []
        return met != "cut off", CommandOutput(lines)

    monkeypatch.setattr(host_session, "run_on", ask)
    monkeypatch.setattr(reboots, "reporter", lambda: machine)
    monkeypatch.setattr("labctl.edges.reboots.time.sleep", lambda _: None)
    monkeypatch.setattr("labctl.edges.reboots.time.monotonic", lambda: next(clock))
    wait_: Callable[..., bool] = wait_for_reboot
    return wait_(None, machine, MODULE)


@pytest.mark.parametrize(
    "script",
    [
        ["back"],
        ["still asked to go", "still asked to go", "back"],
        ["cut off", "back"],
        ["still asked to go", "broken", "refused", "refused", "back"],
    ],
)
def test_it_is_waited_for_until_it_is_back(monkeypatch: pytest.MonkeyPatch, script: list[str]) -> None:
    told = ["reboots; waiting up to 15 minutes for it"] if len(script) > 1 else []
    machine = Machine(script)
    assert wait(monkeypatch, machine)
    assert (machine.said, machine.noted) == ([], told)
    assert machine.script == []


def test_one_that_stays_away_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(["still asked to go"] + ["refused"] * 1000)
    assert not wait(monkeypatch, machine)
    assert "has not come back" in machine.said[0]


def test_nobody_reboots_the_machine_that_deploys() -> None:
    here: Any = Machine([], connector=LocalConnector.__new__(LocalConnector))
    with pytest.raises(Failed, match="cannot go on") as refused:
        refuse_own_reboot(here, MODULE)
    assert "sudo reboot" in str(refused.value.hint)
    there: Any = Machine([])
    refuse_own_reboot(there, MODULE)


def test_its_shape_is_told_from_that_of_a_firewall() -> None:
    assert isinstance(MODULE, Rebooting)
    assert not isinstance(MODULE, Guarded)
