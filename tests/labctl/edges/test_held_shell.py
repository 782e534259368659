"""The held root shell: real shells of this machine, and a sudo that only knows one password."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.edges.held_shell import CommandTimeout, Completed, ConnectionLost, HeldShell
from labctl.edges.shell_streams import ProcessStreams
from labctl.errors import Failed

CANARY = "canary-5d3c pass'word"

# Asks as sudo -S does, on standard error, and reads a line; what it was started with goes to a file.
SUDO = """#!/bin/sh
{ tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$PPID/cmdline; env; } >>"$SUDO_LOG"
while [ "$1" != -p ]; do shift; done
prompt=$2; shift 2
case $SUDO_MODE in
free) ;;
stranger) printf %s "$prompt" >&2; read -r given; echo "lab is not in the sudoers file." >&2; exit 1 ;;
*)
  for try in 1 2 3; do
    printf %s "$prompt" >&2
    IFS= read -r given || { echo "sudo: no password was provided" >&2; exit 1; }
    [ "$given" != "$(cat "$SUDO_PASSWORD_FILE")" ] || break
    echo "Sorry, try again." >&2
  done ;;
esac
exec "$@"
"""


@pytest.fixture
def shell() -> Iterator[HeldShell]:
    held = HeldShell("box", ProcessStreams, sudo=False, password=lambda: None)
    yield held
    held.close()


@pytest.fixture
def sudo_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(SUDO)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "password").write_text(CANARY)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SUDO_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SUDO_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("SUDO_MODE", "asks")
    return tmp_path / "log"


class Person:
    """Somebody who is asked for a password."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return CANARY


def as_root(password: str | None) -> HeldShell:
    return HeldShell("box", ProcessStreams, sudo=True, password=lambda: password)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("true", Completed(0, b"", b"")),
        ("exit 7", Completed(7, b"", b"")),
        ("printf 'no end of line'", Completed(0, b"no end of line", b"")),
        ("printf '\\n\\na\\n\\n'; printf '\\n' >&2", Completed(0, b"\n\na\n\n", b"\n")),
        ("printf '\\377\\000x'", Completed(0, b"\xff\x00x", b"")),
        ("echo out; echo err >&2; (exit 3)", Completed(3, b"out\n", b"err\n")),
        ("cat", Completed(0, b"", b"")),
        ("echo 'it''s' \"$(echo two)\" # a comment", Completed(0, b"its two\n", b"")),
        ("cat <<END\nfirst\nsecond\nEND", Completed(0, b"first\nsecond\n", b"")),
        ("kill -TERM $$", Completed(143, b"", b"")),
    ],
)
def test_a_command_comes_back_as_it_was(shell: HeldShell, command: str, expected: Completed) -> None:
    done = shell.run(command)
    # A shell may say on standard error that its child was killed.
    assert (done.exit_status, done.stdout) == (expected.exit_status, expected.stdout)
    assert done.stderr == expected.stderr or "kill" in command
    assert shell.run("echo still here").stdout == b"still here\n"


def test_a_syntax_error_ends_no_more_than_its_command(shell: HeldShell) -> None:
    assert shell.run("if then (").exit_status == 2
    assert shell.run("echo still here").stdout == b"still here\n"


def test_much_output_on_both_streams(shell: HeldShell) -> None:
    done = shell.run("head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2; echo end")
    assert (len(done.stdout), len(done.stderr)) == (300004, 200000)


def test_a_long_command(shell: HeldShell) -> None:
    assert shell.run(f": {'x' * 100000}; echo end").stdout == b"end\n"
    # One argument of a program may have 128 KiB, execve(2).
    assert shell.run(f": {'x' * 200000}; echo end").exit_status == 126


def test_what_goes_to_standard_input_is_on_no_command_line(shell: HeldShell) -> None:
    much = 'it\'s "$HOME" `id`\n' * 20000
    assert shell.run("cat", stdin=much).stdout.decode() == much + "\n"
    assert shell.run("read -r word; cat /proc/$$/cmdline", stdin="hunter2").stdout.count(b"hunter2") == 0
    assert shell.run("echo still here").stdout == b"still here\n"


class InPieces:
    """A shell whose answer arrives bit by bit, standard error last."""

    def __init__(self, program: str) -> None:
        found = re.search(r"@@[0-9a-f]{24}", program)
        assert found is not None
        self._mark = found[0].encode()
        self._pieces: list[tuple[bytes, bytes]] = [(self._mark + b" ready\n", b"")]

    def send(self, data: bytes) -> None:
        if b"sh -c" not in data:
            return
        out, err = b"out\n\n" + self._mark + b" 17\n", b"err\n" + self._mark + b"\n"
        self._pieces += [(out[i : i + 1], b"") for i in range(len(out))]
        self._pieces += [(b"", err[i : i + 5]) for i in range(0, len(err), 5)]

    def receive(self, timeout_s: float) -> tuple[bytes, bytes]:
        assert timeout_s > 0
        return self._pieces.pop(0)

    def close(self) -> None:
        assert self._pieces == []


def test_an_answer_may_come_in_pieces() -> None:
    shell = HeldShell("box", InPieces, sudo=False, password=lambda: None)
    assert shell.run("true") == Completed(17, b"out\n", b"err")
    shell.close()


def test_a_command_that_has_begun_is_waited_for_later(shell: HeldShell, tmp_path: Path) -> None:
    ended = shell.begin(f"until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo done", timeout_s=20)
    (tmp_path / "go").touch()
    assert ended() == Completed(0, b"done\n", b"")


def test_one_shell_is_held_for_all_commands(shell: HeldShell) -> None:
    assert shell.run("echo $PPID") == shell.run("echo $PPID")


def test_commands_do_not_see_one_another(shell: HeldShell) -> None:
    shell.run("cd /; name=value; export name; umask 0")
    assert shell.run('echo "$name"').stdout == b"\n"
    assert shell.run("umask").stdout != b"0000\n"
    assert shell.commands == 3


def test_the_language_is_fixed(shell: HeldShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert shell.run('echo "$LC_ALL"').stdout == b"C.UTF-8\n"


def test_a_command_that_does_not_answer_is_given_up(shell: HeldShell) -> None:
    with pytest.raises(CommandTimeout, match="no answer within 0"):
        shell.run("sleep 30", timeout_s=0.2)
    assert shell.run("echo a new shell").stdout == b"a new shell\n"


def test_a_shell_that_ends_is_a_lost_connection(shell: HeldShell) -> None:
    with pytest.raises(ConnectionLost, match="the connection broke"):
        shell.run("kill -9 $PPID")


def test_the_password_is_given_when_sudo_asks(sudo_log: Path) -> None:
    shell = as_root(CANARY)
    assert shell.run("echo root").stdout == b"root\n"
    shell.close()
    started = sudo_log.read_text()
    assert "-p @@" in started
    assert "canary" not in started


@pytest.mark.usefixtures("sudo_log")
def test_the_password_is_not_given_when_sudo_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_MODE", "free")
    person = Person()
    shell = HeldShell("box", ProcessStreams, sudo=True, password=person)
    done = shell.run("echo root")
    shell.close()
    assert (done.stdout, done.stderr) == (b"root\n", b"")
    assert person.asked == 0


@pytest.mark.usefixtures("sudo_log")
def test_a_new_shell_needs_no_second_question() -> None:
    person = Person()
    shell = HeldShell("box", ProcessStreams, sudo=True, password=person)
    with pytest.raises(CommandTimeout):
        shell.run("sleep 30", timeout_s=0.2)
    assert shell.run("echo root").stdout == b"root\n"
    shell.close()
    assert person.asked == 1


@pytest.mark.parametrize(
    ("mode", "password", "message"),
    [
        ("asks", None, "sudo wants a password and there is nobody to ask"),
        ("asks", "wrong", "sudo does not take this password"),
        ("stranger", CANARY, "the login may not use sudo"),
    ],
)
@pytest.mark.usefixtures("sudo_log")
def test_who_may_not_become_root_is_told_why(
    monkeypatch: pytest.MonkeyPatch, mode: str, password: str | None, message: str
) -> None:
    monkeypatch.setenv("SUDO_MODE", mode)
    with pytest.raises(Failed) as failure:
        as_root(password).open()
    assert failure.value.message == message
    assert failure.value.where == "box"
    assert "canary" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_host_without_sudo_is_told_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="sudo: not found"):
        as_root(None).open()
