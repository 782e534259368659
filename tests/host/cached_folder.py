"""Folders that are made once, kept for the next session, and deleted when a newer one has replaced them.

A family (`trixie`) has one folder per recipe and time of making. It is made aside under the family's lock and
renamed into place, so nobody ever sees half of one. Who uses a folder holds a shared lock on it; what nobody holds
and a newer one of its family has replaced is deleted.
"""

import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.locks import FileLock, locked

# Two, because two checkouts side by side may need different ones.
_KEPT_PER_FAMILY = 2


@dataclass(frozen=True)
class CachedFolder:
    """A folder in use; `release` says that it no longer is."""

    path: Path
    _lock: FileLock

    def release(self) -> None:
        """Let others delete it."""
        self._lock.release()


def hold(
    parent: Path, family: str, recipe: str, make: Callable[[Path], None], *, refresh_after_days: float
) -> CachedFolder:
    """The newest folder of `recipe` in `family`; `make` fills an empty one when there is none or it is old.

    Raises what `make` raises, except that an old folder serves when refreshing it raises `Failed`.
    """
    with locked(parent / f"{family}.lock"):
        newest = max(parent.glob(f"{family}.{recipe}.*/"), key=_made_at, default=None)
        if newest is None or time.time() - _made_at(newest) > refresh_after_days * 86400:
            try:
                newest = _make(parent, family, recipe, make)
            except Failed as error:
                if newest is None:
                    raise
                print(f"tests.host: {newest.name} is old and stays in use: {error}", file=sys.stderr)
        lock = FileLock(_use_lock(newest))
        lock.acquire(shared=True)
        _remove_replaced(parent, family)
    return CachedFolder(newest, lock)


def _make(parent: Path, family: str, recipe: str, make: Callable[[Path], None]) -> Path:
    making = parent / f".{family}.making"
    with suppress(FileNotFoundError):
        shutil.rmtree(making)  # somebody was killed at it
    making.mkdir()
    try:
        make(making)
        return making.rename(parent / f"{family}.{recipe}.{int(time.time())}")
    except BaseException:
        shutil.rmtree(making)
        raise


def _remove_replaced(parent: Path, family: str) -> None:
    for folder in sorted(parent.glob(f"{family}.*.*/"), key=_made_at)[:-_KEPT_PER_FAMILY]:
        lock = FileLock(_use_lock(folder))
        if lock.acquire(wait=False):
            shutil.rmtree(folder)
            _use_lock(folder).unlink()
            lock.release()


def _made_at(folder: Path) -> int:
    return int(folder.name.rpartition(".")[2])


def _use_lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.used")
