"""Where operations say what they do: to pyinfra's own log by default, to labctl's event stream under its driver."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from labctl.errors import LabctlError

if TYPE_CHECKING:
    from pyinfra.api.host import Host


class Reporter(Protocol):
    """What an operation can say."""

    def reason(self, host: Host, name: str, reason: str) -> None:
        """Why the operation `name` runs."""
        ...

    def note(self, host: Host, message: str) -> None:
        """Something a person should read."""
        ...

    def problem(self, host: Host, problem: LabctlError) -> None:
        """Why an operation fails."""
        ...

    def question(self, host: Host, message: str) -> None:
        """Show what somebody is asked who can answer on standard input."""
        ...


class LogReporter:
    """Plain pyinfra: lines in its log."""

    def reason(self, host: Host, name: str, reason: str) -> None:
        """One line under the operation."""
        host.log(reason)

    def note(self, host: Host, message: str) -> None:
        """One line under the operation."""
        host.log(message)

    def problem(self, host: Host, problem: LabctlError) -> None:
        """The message and what to do, in red."""
        host.log_styled(one_line(problem), fg="red")

    def question(self, host: Host, message: str) -> None:
        """At the end of a line, for the answer to follow."""
        sys.stderr.write(f"{host.name}: {message} ")
        sys.stderr.flush()


def one_line(problem: LabctlError) -> str:
    """A problem as one line: what, where it stands, what was found, what to do."""
    text = f"{problem.where}: {problem.message}" if problem.where else problem.message
    if problem.found:
        text += f" (found {problem.found})"
    return f"{text} — {problem.hint}" if problem.hint else text


_current: Reporter = LogReporter()


def reporter() -> Reporter:
    """The reporter of this process."""
    return _current


def use(chosen: Reporter) -> None:
    """Make `chosen` the reporter of this process; the driver does, once."""
    global _current  # noqa: PLW0603 - one process runs one deploy
    _current = chosen
