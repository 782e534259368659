"""Where the harness keeps things: base images, layers, downloaded packages, and the running sessions."""

import os
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "LABCTL_TEST_CACHE"
DEFAULT_CACHE = Path("/var/cache/labctl-tests")


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
    """The cache named by LABCTL_TEST_CACHE, else the default, with its folders made."""
    cache = Cache(Path(os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE).resolve())
    for folder in (cache.bases, cache.layers, cache.packages, cache.sessions, cache.logs):
        folder.mkdir(parents=True, exist_ok=True)
    return cache
