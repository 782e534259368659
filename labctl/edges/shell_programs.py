"""Programs of a host run over a shell that is held open: for what is otherwise done by a program of the host's own."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from labctl.edges.held_shell import HeldShell
from labctl.transaction.programs import DEFAULT_SECONDS, Done


class ShellPrograms:
    """`labctl.transaction.programs.Programs`, one round trip each. The clock that only goes forward is this side's."""

    def __init__(self, shell: HeldShell) -> None:
        self._shell = shell

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_SECONDS,
        env: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> Done:
        """Run `command` to its end."""
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        done = self._shell.run(shlex.join(["env", *settings, *command] if settings else command), timeout_s)
        out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
        return Done(done.exit_status, out, err)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def seconds(self) -> float:
        """Since some moment."""
        return time.monotonic()

    def now(self) -> str:
        """As in 2026-11-21T13:00:00+00:00."""
        return datetime.now(tz=UTC).isoformat(timespec="seconds")
