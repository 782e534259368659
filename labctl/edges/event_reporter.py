"""Operations' own words as events, with each host's counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.edges import events
from labctl.errors import LabctlError

if TYPE_CHECKING:
    from pyinfra.api.host import Host

# What a command printed last, when nobody knows why it failed, and when its cause stands above it.
_LINES, _LINES_BESIDE_A_CAUSE = 20, 5


class EventReporter:
    """`now(host)` is the (role, name) of the operation that runs on a host."""

    def __init__(self, emit: Callable[[events.Event], None], now: Callable[[Host], tuple[str, str]]) -> None:
        self._emit = emit
        self._now = now
        self._reasons: dict[str, str] = {}
        self._problems: dict[str, list[str]] = {}
        self._counts: dict[str, Counter[str]] = {}

    def reason(self, host: Host, name: str, reason: str) -> None:
        """Kept for the operation's end."""
        self._reasons[host.name] = reason

    def note(self, host: Host, message: str) -> None:
        """At once: it may be about a wait."""
        self._emit(events.Note(host.name, self._now(host)[0], message))

    def problem(self, host: Host, problem: LabctlError) -> None:
        """Kept for the operation's end."""
        self._problems.setdefault(host.name, []).append(str(problem))

    def question(self, host: Host, message: str) -> None:
        """At once; whoever renders shows it."""
        self._emit(events.Question(host.name, self._now(host)[0], message))

    def started(self, host: Host, role: str, name: str) -> None:
        """An operation begins."""
        self._reasons.pop(host.name, None)
        self._problems.pop(host.name, None)
        self._emit(events.OperationStarted(host.name, role, name))

    def finished(self, host: Host, role: str, name: str, *, failed: bool, output: list[str]) -> None:
        """An operation has ended; it changed something exactly when it had a reason to."""
        reason = self._reasons.pop(host.name, None)
        status: events.Status = "failed" if failed else "changed" if reason else "unchanged"
        self._counts.setdefault(host.name, Counter())[status] += 1
        problems = self._problems.pop(host.name, [])
        kept = output[-_LINES_BESIDE_A_CAUSE:] if problems else output[-_LINES:]
        self._emit(events.OperationFinished(host.name, role, name, status, reason, (*problems, *kept)))

    def counts(self, host: Host) -> Counter[str]:
        """How many operations changed something, did not, failed."""
        return self._counts.get(host.name, Counter())
