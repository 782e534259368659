"""Where the harness keeps things: base images, layers, downloaded packages, and the running sessions."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import BadInput, Failed

CACHE_VARIABLE = "LABCTL_TEST_CACHE"
DEFAULT_CACHE = Path("/var/cache/labctl-tests")
_PACKAGES_KEPT_DAYS = 30
_LOGS_KEPT_DAYS = 7


@dataclass(frozen=True)
class Cache:
    """The folders below one cache directory; they exist."""

    root: Path

    @property
    def bases(self) -> Path:
        """One folder per base image, see base_image.py."""
        return self.root / "bases"

    @property
    def layers(self) -> Path:
        """One folder per layer that outlives its session, see disk.py."""
        return self.root / "layers"

    @property
    def packages(self) -> Path:
        """Downloaded packages, see package_cache.py."""
        return self.root / "packages"

    @property
    def sessions(self) -> Path:
        """One folder per running (or crashed) session, see session.py."""
        return self.root / "sessions"

    @property
    def logs(self) -> Path:
        """What hosts of failed tests had to say, see fixtures.py."""
        return self.root / "logs"

    @property
    def sessions_lock(self) -> Path:
        """Held while a session starts, ends, or is cleaned up."""
        return self.root / "sessions.lock"


def open_cache() -> Cache:
    """The cache named by LABCTL_TEST_CACHE, else the default, with its folders made.

    Raises `Failed` without root, for whom alone any of it is of use, and `BadInput` for a path that cannot be
    written as an option of an overlay mount.
    """
    if os.geteuid() != 0:
        raise Failed("throwaway hosts need root", hint="Run the same command with sudo")
    cache = Cache(Path(os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE).resolve())
    if set(str(cache.root)) & set(":,\\"):
        raise BadInput(
            "bad cache path", where=CACHE_VARIABLE, found=str(cache.root), expected="no : , or \\ in it"
        )
    for folder in (cache.bases, cache.layers, cache.packages, cache.sessions, cache.logs):
        folder.mkdir(parents=True, exist_ok=True)
    return cache


def remove_old_files(cache: Cache) -> None:
    """Delete packages that no guest asked for in a month, and logs of failed tests after a week."""
    for folder, days in ((cache.packages, _PACKAGES_KEPT_DAYS), (cache.logs, _LOGS_KEPT_DAYS)):
        for file in folder.iterdir():
            with suppress(FileNotFoundError):  # another session does the same
                if file.stat().st_mtime < time.time() - days * 86400:
                    file.unlink()
