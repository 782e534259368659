"""Programs of a host run over a shell that is held open: for what is otherwise done by a program of the host's own."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from labctl.edges.held_shell import HeldShell
from labctl.transaction.programs import DEFAULT_SECONDS, Done, HostPrograms


class ShellPrograms(HostPrograms):
    """One round trip each; the clocks are this side's."""

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
        """Run `command` to its end; `on_tick` is never called."""
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        done = self._shell.run(shlex.join(["env", *settings, *command] if settings else command), timeout_s)
        out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
        return Done(done.exit_status, out, err)
