"""The way a sudo password takes, with a stand-in for sudo that reads its standard input as sudo does: one line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.api.command import StringCommand
from pyinfra.connectors.util import (
    SUDO_PASSWORD_REQUIRED_LINES,
    CommandOutput,
    OutputLine,
    make_unix_command,
)

from labctl.edges.sudo import through_stdin
from labctl.secret import Secret

_PASSWORD = "canary pass'word\\n"
_SUDO = """#!/bin/sh
case "$ASKS $*" in
  yes*" -n "*) echo 'sudo: a password is required' >&2; exit 1;;
  yes*" -S "*) IFS= read -r given
    [ "$given" = "$RIGHT" ] || { echo 'sudo: 1 incorrect password attempt' >&2; exit 1; };;
esac
while :; do case "$1" in -p) shift 2;; -*) shift;; *) break;; esac; done
exec "$@"
"""


class Connector:
    """Runs commands on this machine, as pyinfra's do, and remembers what others could have seen of them."""

    def __init__(self, folder: Path, *, asks: bool) -> None:
        (folder / "sudo").write_text(_SUDO)
        (folder / "sudo").chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        self.env = {"PATH": path, "ASKS": "yes" if asks else "no", "RIGHT": _PASSWORD}
        self.commands: list[str] = []
        self.host: Any = SimpleNamespace(connector_data={})

    def run(self, command: StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
        stdin = arguments.pop("_stdin", None) or []
        whole = make_unix_command(command, **arguments).get_raw_value()
        self.commands.append(whole)
        done = subprocess.run(
            ["sh", "-c", whole],
            input="".join(f"{line}\n" for line in stdin),
            capture_output=True,
            text=True,
            check=False,
            env=self.env,
        )
        lines = [OutputLine("stdout", line) for line in (done.stdout + done.stderr).splitlines()]
        return done.returncode == 0, CommandOutput(lines)

    def __call__(self, script: str, **arguments: Any) -> tuple[bool, str]:
        status, output = through_stdin(self.host, self.run)(StringCommand(script), **arguments)
        return status, output.output


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("source", ["env", "plain"])
def test_the_command_gets_its_own_input_and_nothing_of_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, *, asks: bool
) -> None:
    monkeypatch.setenv("LABCTL_TEST_SECRET", _PASSWORD)
    password = Secret.env("LABCTL_TEST_SECRET") if source == "env" else _PASSWORD
    connector = Connector(tmp_path, asks=asks)
    status, output = connector(
        "set -eu; env; cat", _sudo=True, _sudo_password=password, _stdin=["one", "two"]
    )
    assert status, output
    assert output.splitlines()[-2:] == ["one", "two"]
    seen = output.replace(f"RIGHT={_PASSWORD}", "")  # the stand-in has to know it
    assert "canary" not in seen + str(connector.commands)
    assert len(connector.commands) == 1


def test_a_wrong_password_runs_nothing(tmp_path: Path) -> None:
    command = f"touch {tmp_path}/ran"
    status, output = Connector(tmp_path, asks=True)(command, _sudo=True, _sudo_password="wrong")
    assert not status
    assert "incorrect password" in output
    assert not (tmp_path / "ran").exists()


def test_input_that_ends_within_the_password_runs_nothing(tmp_path: Path) -> None:
    connector = Connector(tmp_path, asks=False)

    def cut_short(command: StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
        return connector.run(command, **{**arguments, "_stdin": arguments["_stdin"][:1]})

    status, output = through_stdin(connector.host, cut_short)(
        StringCommand("echo ran"), _sudo=True, _sudo_password=_PASSWORD
    )
    assert not status
    assert output.output == ""


def test_without_a_password_sudo_may_not_ask(tmp_path: Path) -> None:
    connector = Connector(tmp_path, asks=False)
    for _ in range(2):
        assert connector("cat", _sudo=True, _sudo_password=None, _stdin=["one"]) == (True, "one")
    # Whether it asks is found out once.
    assert [command.count("sudo ") for command in connector.commands] == [2, 1]
    assert connector.commands[1].strip().startswith("sudo -H -n sh -c ")


def test_a_password_that_nobody_can_give_is_not_pyinfras_to_ask_for(tmp_path: Path) -> None:
    connector = Connector(tmp_path, asks=True)
    status, output = connector("touch ran", _sudo=True)
    assert not status
    assert "password is required" in output
    assert not set(output.splitlines()) & set(SUDO_PASSWORD_REQUIRED_LINES)
    assert len(connector.commands) == 1


def test_what_a_person_answers_takes_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    reporter = SimpleNamespace(question=lambda _, message: asked.append(message))
    monkeypatch.setattr("labctl.edges.sudo.reporter", lambda: reporter)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("getpass.getpass", lambda _: _PASSWORD)
    connector = Connector(tmp_path, asks=True)
    for count in (2, 3):  # the answer is kept for the next command
        assert connector("cat", _sudo=True, _stdin=["one"]) == (True, "one")
        assert len(connector.commands) == count
        assert "canary" not in str(connector.commands)
    assert asked == ["sudo password:"]


def test_without_sudo_and_with_what_labctl_never_asks_for_the_command_is_pyinfras(tmp_path: Path) -> None:
    given: dict[str, Any] = {}

    def run(_: StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
        given.update(arguments)
        return True, CommandOutput([])

    host = Connector(tmp_path, asks=False).host
    through_stdin(host, run)(StringCommand("id"), _sudo=False, _timeout=3)
    assert given == {"_sudo": False, "_timeout": 3}
    through_stdin(host, run)(StringCommand("id"), _sudo=True, _sudo_user="web", _sudo_password=_PASSWORD)
    assert (given["_sudo_user"], given["_sudo_password"]) == ("web", _PASSWORD)
