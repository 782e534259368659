"""One transaction at a time."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from labctl.errors import Failed


class Busy(Failed):
    """Another transaction runs."""


@contextmanager
def held(path: Path, who: str) -> Iterator[None]:
    """Hold the lock; the kernel lets go of it when this process ends. Raises Busy, with who holds it."""
    path.parent.mkdir(mode=0o755, exist_ok=True)
    with path.open("a+") as file:
        path.chmod(0o600)
        if not _taken(file):
            raise Busy(
                "another transaction runs on this host",
                found=holder(path) or "it does not say which",
                hint="wait for its end, then run the same command: journalctl -fu 'labctl-transaction@*'",
            )
        file.truncate(0)
        file.write(who)
        file.flush()
        yield
        file.truncate(0)


def holder(path: Path) -> str | None:
    """Who holds the lock, None when nobody does."""
    if not path.is_file():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip() or "one that has just begun"
    return None


def _taken(file: IO[str]) -> bool:
    for _ in range(5):  # whoever asks for the holder has the lock for a moment
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
