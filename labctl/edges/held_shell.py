"""One shell on a host, held open as root, that runs one command after another.

Each command is one round trip: it goes to the shell's standard input, and its output comes back framed. A new SSH
session per command costs two (open, execute), with sudo each time; and pyinfra's way of giving sudo its password puts
it on a command line, where the host's process list shows it. Here it goes to sudo's standard input, and only when sudo
has asked.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from labctl.errors import Failed

COMMAND_SECONDS = 120
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETTINGS = f"export LC_ALL=C.UTF-8 PATH={_PATH} SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat"


class Streams(Protocol):
    """A program that runs somewhere: its standard input, and what it writes to the other two."""

    def send(self, data: bytes) -> None:
        """Write to its standard input. Raises OSError when it is gone."""
        ...

    def receive(self, timeout_s: float) -> tuple[bytes, bytes]:
        """Wait for output; (stdout, stderr), at least one of them not empty.

        Raises TimeoutError when nothing came, EOFError when nothing will come any more.
        """
        ...

    def close(self) -> None:
        """End the program."""
        ...


@dataclass(frozen=True)
class Completed:
    """What a command left: its exit status and its two outputs, unchanged."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class ConnectionLost(Failed):
    """The shell ended although nobody asked it to: nothing more can be run on this host."""


class CommandTimeout(Failed):
    """A command gave no answer in time; the next one gets a new shell."""


class HeldShell:
    """Commands on one host, in order.

    `start(program)` runs a program there and returns its streams. With `sudo`, the shell is root by sudo; `password()`
    is asked when sudo wants one and returns None when there is none.
    """

    def __init__(
        self, host: str, start: Callable[[str], Streams], *, sudo: bool, password: Callable[[], str | None]
    ) -> None:
        self._host = host
        self._start = start
        self._sudo = sudo
        self._ask = password
        self._password: str | None = None
        self._mark = "@@" + secrets.token_hex(12)
        self._streams: Streams | None = None
        self.commands = 0

    def open(self) -> None:
        """Start the shell. Raises Failed when the login may not become root."""
        ready, prompt = self._mark + " ready", self._mark + " password"
        shell = f"sh -c {shlex.quote(f'echo {shlex.quote(ready)}; exec sh')}"
        program = f"exec sudo -H -S -p {shlex.quote(prompt)} {shell}" if self._sudo else f"exec {shell}"
        try:
            self._streams = self._start(program)
        except (EOFError, OSError) as problem:
            raise _lost(self._host, problem) from problem
        self._become_root(ready.encode() + b"\n", prompt.encode())
        self._send(f"{_SETTINGS}\n".encode())

    def run(self, command: str, timeout_s: float = COMMAND_SECONDS, *, stdin: str | None = None) -> Completed:
        """Run `command` (sh) to its end, with `stdin`, or nothing, on its standard input.

        What is long or nobody's business belongs there: a command line is short and every login can read it.

        Raises CommandTimeout, or ConnectionLost when the shell ends in mid-command.
        """
        return self.begin(command, timeout_s, stdin=stdin)()

    def begin(
        self, command: str, timeout_s: float = COMMAND_SECONDS, *, stdin: str | None = None
    ) -> Callable[[], Completed]:
        """Let `command` begin, and return what waits for its end: until that was called, nothing else may be run.

        What is returned raises as `run` does; this alone what keeps the command from beginning.
        """
        if self._streams is None:
            self.open()
        self.commands += 1
        quoted = shlex.quote(command)  # a syntax error ends the inner shell, not the held one
        mark = self._mark
        given = "</dev/null" if stdin is None else f"<<'{mark} input'\n{stdin}\n{mark} input"
        line = f"sh -c {quoted} {given}\nprintf '\\n{mark} %d\\n' $?; printf '\\n{mark}\\n' >&2\n"
        deadline = time.monotonic() + timeout_s
        with self._telling(timeout_s, command):
            self._send(line.encode())
        return lambda: self._completed(deadline, timeout_s, command)

    def _completed(self, deadline: float, timeout_s: float, command: str) -> Completed:
        stdout_end, stderr_end = f"\n{self._mark} ".encode(), f"\n{self._mark}\n".encode()
        out = err = b""
        with self._telling(timeout_s, command):
            while not (stdout_end in out and out.endswith(b"\n") and stderr_end in err):
                more_out, more_err = self._receive(max(0.0, deadline - time.monotonic()))
                out, err = out + more_out, err + more_err
        stdout, _, status = out.partition(stdout_end)
        return Completed(int(status), stdout, err.partition(stderr_end)[0])

    def close(self) -> None:
        """End the shell; harmless when there is none."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.close()

    def _become_root(self, ready: bytes, prompt: bytes) -> None:
        given = False
        out = err = b""
        while ready not in out:
            if prompt in err:
                if given:
                    self.close()
                    raise _refused(self._host, "sudo: incorrect password")
                self._password = self._password or self._ask()
                if self._password is None:
                    self.close()
                    raise _refused(self._host, "sudo: a password is required")
                self._send(f"{self._password}\n".encode())
                given, err = True, b""
            try:
                more_out, more_err = self._receive(COMMAND_SECONDS)
            except TimeoutError:
                self.close()
                raise Failed(
                    "no shell as root in time",
                    where=self._host,
                    found=f"nothing for {COMMAND_SECONDS} s",
                    hint="log in by hand and run `sudo true`: does it answer?",
                ) from None
            except (EOFError, OSError):
                self.close()
                raise _refused(self._host, (out + err).decode("utf-8", "replace")) from None
            out, err = out + more_out, err + more_err

    @contextmanager
    def _telling(self, timeout_s: float, command: str) -> Iterator[None]:
        """Raise what goes wrong with the shell as an error of ours; it is closed then."""
        try:
            yield
        except TimeoutError:
            self.close()
            raise CommandTimeout(
                f"no answer within {timeout_s:g} s", where=self._host, found=_short(command)
            ) from None
        except (EOFError, OSError) as problem:
            self.close()
            raise _lost(self._host, problem) from problem

    def _send(self, data: bytes) -> None:
        assert self._streams is not None
        self._streams.send(data)

    def _receive(self, timeout_s: float) -> tuple[bytes, bytes]:
        assert self._streams is not None
        return self._streams.receive(timeout_s)


def _refused(host: str, output: str) -> Failed:
    from labctl.edges import host_session  # brings all of pyinfra, which takes longer than most commands

    return host_session.explain(host, output)


def _lost(host: str, problem: Exception) -> ConnectionLost:
    found = str(problem) or type(problem).__name__
    return ConnectionLost("the connection broke", where=host, found=found, hint="run the same command again")


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 80 else line[:79] + "…"
