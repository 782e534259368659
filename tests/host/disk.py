"""The disk of one throwaway host: a writable overlay over the base image, and named layers of it.

A layer is what hosts wrote over the base image, frozen: any number of hosts start from it at no cost. The overlay
is mounted `volatile`: fsync(2) does nothing in the guest, which a power cut here cannot tell from a disk that
syncs, because the machine's page cache survives it. What a power cut loses is therefore only what lives in memory.

Some folders are plain ones of the machine's disk instead, because Podman's overlay storage cannot sit on an
overlay. They are part of every layer, by copy.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from labctl.errors import Failed
from tests.host.cache import CACHE_VARIABLE
from tests.host.commands import run
from tests.host.session import Session

PLAIN_FOLDERS = ("/var/lib/containers", "/srv")


@dataclass(frozen=True)
class Layer:
    """base: the base image's root. uppers: what lies over it, topmost first. plain: copies of PLAIN_FOLDERS."""

    base: Path
    suite: str
    uppers: tuple[Path, ...] = ()
    plain: Path | None = None


@dataclass
class Disk:
    """A host's disk in `folder`; `root` is its root file system as the session's mount namespace sees it."""

    session: Session
    folder: Path
    origin: Layer
    below: Layer = field(init=False)

    def __post_init__(self) -> None:
        self.below = self.origin
        self.folder.mkdir(parents=True)

    @property
    def root(self) -> Path:
        """Where the disk is mounted in the session."""
        return self.folder / "root"

    def plain_folder(self, path: str) -> Path:
        """Where a plain folder of the guest is on the machine's disk."""
        return self.folder / "plain" / path.lstrip("/")

    def mount(self) -> None:
        """Make an empty disk of the origin if there is none yet, and mount it in the session."""
        for path in PLAIN_FOLDERS:
            if not self.plain_folder(path).exists():
                self._make_plain(path)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(exist_ok=True)
        lower = ":".join(str(path) for path in (*self.below.uppers, self.below.base))
        options = (
            f"lowerdir={lower},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'},"
            "volatile,redirect_dir=on"
        )
        mount = ["mount", "-t", "overlay", "throwaway-host", "-o", options, str(self.root)]
        mounted = self.session.run(mount, check=False)
        if mounted.returncode != 0:
            raise Failed(
                f"cannot mount an overlay: {mounted.stderr.strip()}",
                where=str(self.folder),
                hint=f"It must be on a plain file system; set {CACHE_VARIABLE} to a folder on one",
            )

    def unmount(self) -> None:
        """Unmount if it is mounted; what was written stays."""
        if not self.session.path(self.root / "usr").exists():
            return
        self.session.run(["umount", str(self.root)])
        shutil.rmtree(self.folder / "work")  # holds the mark by which `volatile` refuses a second mount

    def wipe(self) -> None:
        """Back to the origin; call unmounted."""
        for name in ("upper", "plain"):
            shutil.rmtree(self.folder / name)
        self.below = self.origin

    def freeze(self, folder: Path) -> Layer:
        """Move what was written into `folder` as a layer and go on above it; call unmounted."""
        folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "upper").rename(folder / "upper")
        run(["cp", "--archive", str(self.folder / "plain"), str(folder / "plain")])
        self.below = Layer(
            self.below.base, self.below.suite, (folder / "upper", *self.below.uppers), folder / "plain"
        )
        return self.below

    def _make_plain(self, path: str) -> None:
        target = self.plain_folder(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.below.plain:
            run(["cp", "--archive", "--reflink=auto", str(self.below.plain / path.lstrip("/")), str(target)])
        else:
            target.mkdir(mode=0o755)


def load_layer(folder: Path, below: Layer) -> Layer:
    """The layer that a disk which started from `below` was frozen into at `folder`."""
    return Layer(below.base, below.suite, (folder / "upper", *below.uppers), folder / "plain")
