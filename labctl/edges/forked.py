"""Work on several hosts at once, each in a process forked from this one."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from types import FrameType

AT_ONCE = 16
CRASHED = 70  # EX_SOFTWARE of sysexits.h
_FINISHED = 100  # is added to what the work returned, so that an exit in its midst does not pass for its end


class Turn:
    """A lock between processes forked from one another; the kernel takes it back when its holder dies."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - held as long as the lock can be asked for

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *error: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


def in_processes(names: Iterable[str], work: Callable[[str], int]) -> dict[str, int]:
    """Run `work(name)` for each name in a process of its own, at most 16 at a time.

    Returns what each returned (0 to 99); CRASHED for one that raised (the traceback is on stderr) or left in its midst,
    and the negative signal number for one that was killed. A SIGTERM to this process ends them all.
    """
    waiting = list(names)
    running: dict[int, str] = {}
    codes: dict[str, int] = {}

    def end_all(number: int, _: FrameType | None) -> None:
        for pid in running:
            os.kill(pid, number)
        os._exit(128 + number)

    before = signal.signal(signal.SIGTERM, end_all)
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                name = waiting.pop(0)
                pid = os.fork()
                if pid == 0:
                    _work_and_leave(name, work)
                running[pid] = name
            # The oldest, and not whichever ends first: gevent's waitpid(-1), which this may be, names one twice.
            pid = next(iter(running))
            _, status = os.waitpid(pid, 0)
            codes[running.pop(pid)] = _result(os.waitstatus_to_exitcode(status))
    finally:
        signal.signal(signal.SIGTERM, before)
    return codes


def _work_and_leave(name: str, work: Callable[[str], int]) -> None:
    code = CRASHED
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        code = _FINISHED + work(name)
    except BaseException:  # noqa: BLE001 - nothing may climb into the parent's code in this copy of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _result(code: int) -> int:
    if code < 0:
        return code
    return code - _FINISHED if code >= _FINISHED else CRASHED
