"""The file system with the real llama.cpp in it: Debian sid's packages, unpacked. Nothing is compiled."""

import gzip
import hashlib
import json
import sys
from pathlib import Path

from labctl.errors import Failed
from tests.host.apt_sources import machine_archive
from tests.host.cache import Cache
from tests.host.cached_folder import CachedFolder, hold
from tests.host.commands import run

_PACKAGES = ("base-files", "libggml0-backend-rpc", "llama.cpp", "llama.cpp-tools-extra")
_CHANGELOG = "usr/share/doc/llama.cpp/changelog.Debian.gz"
# Sid's Release file is dated; a mirror that is not the newest serves it past that date.
_OUTDATED_IS_FINE = 'Acquire::Check-Valid-Until "false";'
# Rows are recorded with one version; a newer one is a finding, not a surprise of every week.
_REFRESH_AFTER_DAYS = 90


def oracle_image(cache: Cache) -> CachedFolder:
    """The folder, built when it is missing (about 10 s and 30 MB of packages). Raises `Failed` when it cannot be."""
    recipe = hashlib.sha256(json.dumps(_PACKAGES).encode()).hexdigest()[:10]
    parent = cache.root / "oracle"
    parent.mkdir(exist_ok=True)
    return hold(parent, "llama-tools", recipe, _build, refresh_after_days=_REFRESH_AFTER_DAYS)


def package_version(root: Path) -> str:
    """llama.cpp's version, from its changelog: packages that are only unpacked are not registered."""
    with gzip.open(root / _CHANGELOG, "rt", encoding="utf-8") as lines:
        return lines.readline().split("(", 1)[1].split(")", 1)[0]


def _build(folder: Path) -> None:
    print("tests.oracle: unpacking llama.cpp's tools from Debian sid (once)", file=sys.stderr)
    archive = machine_archive()
    settings = [
        option for line in (*archive.apt_settings, _OUTDATED_IS_FINE) for option in ("--aptopt", line)
    ]
    try:
        run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", *settings]
            + ["--include", ",".join(_PACKAGES), "--skip=output/dev", "--format=directory"]
            + ["sid", str(folder), "-"],
            input_text=f"deb {archive.mirror} sid main\n",
        )
    except Failed as error:
        raise Failed(
            f"llama.cpp's tools cannot be unpacked: {error.message}",
            hint="They are Debian sid's packages: is the mirror of this machine's apt sources reachable?",
        ) from error
