"""A container image with the real llama.cpp server, made of Debian packages.

Debian has llama.cpp in sid only. curl and a shell are in it for the health check, as in upstream's image.
"""

import gzip
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.host.cache import Cache
from tests.host.package_tree import PackageTree, package_tree

REPOSITORY = "localhost/labctl/llama-server"
SERVER = "/usr/bin/llama-server"
TREE = PackageTree("llama-server", "sid", ("base-files", "ca-certificates", "curl", "dash", "llama.cpp"))
_CHANGELOG = "./usr/share/doc/llama.cpp/changelog.Debian.gz"


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
    built = package_tree(cache, TREE)
    return LlamaImage(built.tarball, package_version(built.tarball), built.was_cached)


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
