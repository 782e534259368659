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
        host.log_styled(str(problem), fg="red")

    def question(self, host: Host, message: str) -> None:
        """At the end of a line, for the answer to follow."""
        sys.stderr.write(f"{host.name}: {message} ")
        sys.stderr.flush()


_current: Reporter = LogReporter()


def reporter() -> Reporter:
    """The reporter of this process."""
    return _current


def use(chosen: Reporter) -> None:
    """Make `chosen` the reporter of this process; the driver does, once."""
    global _current  # noqa: PLW0603 - one process runs one deploy
    _current = chosen
