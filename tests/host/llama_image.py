"""A container image with the real llama.cpp server, made of Debian packages: no registry is needed.

Debian has llama.cpp in sid only. The image is the packages unpacked and nothing more: no shell, no package
manager's state, no maintainer script was run. curl is in it for the health check, as in upstream's image.
"""

import gzip
import hashlib
import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.apt_sources import Archive, machine_archive
from tests.host.cache import Cache
from tests.host.commands import run
from tests.host.locks import locked

REPOSITORY = "localhost/labctl/llama-server"
SERVER = "/usr/bin/llama-server"
_PACKAGES = ("base-files", "ca-certificates", "curl", "llama.cpp")
_CHANGELOG = "./usr/share/doc/llama.cpp/changelog.Debian.gz"
# Sid's Release file is dated; a mirror that is not the newest serves it past that date.
_OUTDATED_IS_FINE = 'Acquire::Check-Valid-Until "false";'
# What mmdebstrap copies from the machine has no business in an image.
_FORGET_THE_MACHINE = 'cd "$1/etc" && rm -f hostname resolv.conf apt/sources.list'


@dataclass(frozen=True)
class LlamaImage:
    """tarball: the root file system. version: the package's, for the tag. was_cached: False when built just now."""

    tarball: Path
    version: str
    was_cached: bool

    @property
    def name(self) -> str:
        """The name that a Quadlet unit uses."""
        return f"{REPOSITORY}:{image_tag(self.version)}"


def llama_image(cache: Cache) -> LlamaImage:
    """The image, built when it is missing or its recipe has changed (about 7 s and 30 MB of packages).

    Raises `Failed` when the packages cannot be had.
    """
    folder = cache.root / "images"
    folder.mkdir(exist_ok=True)
    archive = machine_archive()
    with locked(folder / "llama-server.building"):
        prefix = f"llama-server-{_recipe_hash()}"
        tarball, version = folder / f"{prefix}.tar", folder / f"{prefix}.version"
        was_cached = tarball.exists() and version.exists()
        if not was_cached:
            for outdated in folder.glob("llama-server-*"):
                outdated.unlink()
            _build(archive, tarball)
            version.write_text(package_version(tarball))
    return LlamaImage(tarball, version.read_text(), was_cached)


def package_version(tarball: Path) -> str:
    """The version of llama.cpp in the image, from its changelog: packages that are only unpacked are not registered."""
    with tarfile.open(tarball) as image:
        changelog = image.extractfile(_CHANGELOG)
        assert changelog is not None
        with gzip.open(changelog, "rt", encoding="utf-8") as lines:
            return lines.readline().split("(", 1)[1].split(")", 1)[0]


def image_tag(version: str) -> str:
    """A package version as a tag, which may hold letters, digits, `_`, `.` and `-` (OCI distribution specification)."""
    return "".join(character if character.isalnum() or character in "_.-" else "-" for character in version)


def _build(archive: Archive, tarball: Path) -> None:
    print("tests.host: building the llama.cpp image from Debian sid (once)", file=sys.stderr)
    unfinished = tarball.with_name(f".{tarball.name}")
    settings = [
        option for line in (*archive.apt_settings, _OUTDATED_IS_FINE) for option in ("--aptopt", line)
    ]
    try:
        # In namespaces of its own: mmdebstrap mounts /proc and others in the tree, and may be killed.
        run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", *settings]
            + ["--include", ",".join(_PACKAGES), "--skip=output/dev"]
            + [f"--extract-hook={_FORGET_THE_MACHINE}", "--format=tar", "sid", str(unfinished), "-"],
            input_text=f"deb {archive.mirror} sid main\n",
        )
        unfinished.rename(tarball)
    except Failed as error:
        raise Failed(
            f"the llama.cpp image cannot be built: {error.message}",
            hint="It is made of Debian sid's packages: is the mirror of this machine's apt sources reachable?",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _recipe_hash() -> str:
    """Ten hex digits that change when the image would come out different."""
    recipe = [_PACKAGES, _FORGET_THE_MACHINE]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:10]
