"""Root file systems for container images, made of Debian packages: no registry is needed.

A tree is packages unpacked and nothing more: no package manager's state, no maintainer script was run.
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.apt_sources import machine_archive
from tests.host.cache import Cache
from tests.host.commands import run
from tests.host.locks import locked

# Sid's Release file is dated; a mirror that is not the newest serves it past that date.
_OUTDATED_IS_FINE = 'Acquire::Check-Valid-Until "false";'
# What mmdebstrap copies from the machine has no business in an image.
_FORGET_THE_MACHINE = 'cd "$1/etc" && rm -f hostname resolv.conf apt/sources.list'


@dataclass(frozen=True)
class PackageTree:
    """A recipe. name: of its file in the cache. without: paths below its root that nobody needs, as globs."""

    name: str
    suite: str
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Ten hex digits that change when the tree would come out different."""
        recipe = [self.suite, self.packages, self.without, _FORGET_THE_MACHINE]
        return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class BuiltTree:
    """tarball: the root file system. was_cached: False when built just now."""

    tarball: Path
    was_cached: bool


def package_tree(cache: Cache, tree: PackageTree) -> BuiltTree:
    """The tree, built when it is missing or its recipe has changed. Raises `Failed` when packages cannot be had."""
    folder = cache.root / "images"
    folder.mkdir(exist_ok=True)
    with locked(folder / f"{tree.name}.building"):
        tarball = folder / f"{tree.name}-{tree.hash}.tar"
        was_cached = tarball.exists()
        if not was_cached:
            for outdated in folder.glob(f"{tree.name}-??????????.*"):
                outdated.unlink()
            _build(tree, tarball)
    return BuiltTree(tarball, was_cached)


def _build(tree: PackageTree, tarball: Path) -> None:
    print(f"tests.host: building the image {tree.name} from Debian {tree.suite} (once)", file=sys.stderr)
    archive = machine_archive()
    unfinished = tarball.with_name(f".{tarball.name}")
    settings = [
        option for line in (*archive.apt_settings, _OUTDATED_IS_FINE) for option in ("--aptopt", line)
    ]
    hooks = [f"--extract-hook={_FORGET_THE_MACHINE}"]
    if tree.without:
        hooks.append(f'--extract-hook=cd "$1" && rm -rf {" ".join(tree.without)}')
    try:
        # In namespaces of its own: mmdebstrap mounts /proc and others in the tree, and may be killed.
        run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["mmdebstrap", "--quiet", "--mode=root", "--variant=extract", *settings]
            + ["--include", ",".join(tree.packages), "--skip=output/dev", *hooks]
            + ["--format=tar", tree.suite, str(unfinished), "-"],
            input_text=f"deb {archive.mirror} {tree.suite} main\n",
        )
        unfinished.rename(tarball)
    except Failed as error:
        raise Failed(
            f"the image {tree.name} cannot be built: {error.message}",
            hint=f"It is made of packages of Debian {tree.suite}: is this machine's Debian mirror reachable?",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
