"""A run while it goes on: one moving line per host on a terminal, plain lines elsewhere. Always on stderr."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from labctl.cli.summary import qualified
from labctl.edges.events import (
    Event,
    HostConnected,
    HostFailed,
    HostPlanned,
    Note,
    OperationFinished,
    Question,
    Verified,
)


class Progress(Protocol):
    """Shows one event at a time."""

    def show(self, event: Event) -> None:
        """Show what `event` says, if it is worth showing."""


def watched(events: Iterable[Event], *, verbosity: int) -> Iterator[Event]:
    """Pass events on while showing them: to a person at a terminal as bars, to a log as lines."""
    with _bars() if _lines_can_move() else _lines(verbosity) as progress:
        for event in events:
            progress.show(event)
            yield event


def asked(events: Iterable[Event]) -> Iterator[Event]:
    """Pass events on and show questions alone: with --json too, somebody may sit there who can answer."""
    for event in events:
        if isinstance(event, Question):
            print(line_of(event, verbosity=0), file=sys.stderr, flush=True)
        yield event


def _lines_can_move() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


def line_of(event: Event, *, verbosity: int) -> str | None:
    """The event as one line of a log, or None where it is not worth one. Pure."""
    match event:
        case HostConnected():
            return f"{event.host}: connected"
        case HostPlanned():
            return f"{event.host}: {', '.join(event.roles)} ({event.operations} to compare)"
        case OperationFinished() if event.status != "unchanged" or verbosity > 0:
            return _result(event)
        case Verified() if event.status != "passed" or verbosity > 0:
            return _result(event)
        case Note() | Question():
            return f"{event.host}: {event.message}" if event.host else event.message
        case HostFailed():
            return f"{event.host}: FAILED: {event.message}"
        case _:
            return None


def _result(event: OperationFinished | Verified) -> str:
    line = f"{event.host}: {qualified(event.role, event.name)}: {event.status}"
    return f"{line} ({event.reason})" if event.reason else line


class _Lines:
    def __init__(self, verbosity: int) -> None:
        self._verbosity = verbosity

    def show(self, event: Event) -> None:
        line = line_of(event, verbosity=self._verbosity)
        if line:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def _lines(verbosity: int) -> Iterator[Progress]:
    yield _Lines(verbosity)


@contextmanager
def _bars() -> Iterator[Progress]:
    from labctl.cli.bars import Bars

    with Bars() as bars:
        yield bars
