"""Programs of the host, run to their end, and the clock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

DEFAULT_SECONDS = 120.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Done:
    """A program that has ended. It that did not end in time has the status 124, as coreutils' timeout says it."""

    status: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """The last line it wrote."""
        lines = [line for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.status}"


class Programs(Protocol):
    """What runs programs; a simulation in the tests."""

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_SECONDS,
        env: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> Done:
        """Run `command` to its end. on_tick is called every few seconds meanwhile."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def seconds(self) -> float:
        """A clock that only goes forward."""
        ...

    def now(self) -> str:
        """The time of day, in UTC."""
        ...


class HostPrograms:
    """The real ones."""

    tick_seconds = 5.0

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_SECONDS,
        env: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> Done:
        """As the protocol says. A program that is not there has the status 127."""
        deadline = time.monotonic() + timeout_s
        settings = {"LC_ALL": "C.UTF-8", "PATH": _PATH, "HOME": "/root", "SYSTEMD_COLORS": "0", **(env or {})}
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=settings,
                start_new_session=True,
            )
        except OSError as problem:
            return Done(127, "", f"{command[0]}: {problem.strerror}")
        try:
            while True:
                left = deadline - time.monotonic()
                try:
                    out, err = process.communicate(timeout=max(0.0, min(left, self.tick_seconds)))
                except subprocess.TimeoutExpired:
                    if left <= 0:
                        return Done(124, "", f"{command[0]} did not end within {timeout_s:g} s")
                    if on_tick:
                        on_tick()
                else:
                    return Done(
                        process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
                    )
        finally:
            if process.poll() is None:
                _end(process)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def seconds(self) -> float:
        """Since some moment of this boot."""
        return time.monotonic()

    def now(self) -> str:
        """As in 2026-11-21T13:00:00+00:00."""
        return datetime.now(tz=UTC).isoformat(timespec="seconds")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children: asked first, as podman removes what it began."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    killer = threading.Timer(10, lambda: os.killpg(process.pid, signal.SIGKILL))
    killer.start()
    try:
        process.communicate()
    finally:
        killer.cancel()
