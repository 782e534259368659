"""Files that are there whole after a power cut, or as they were before: written beside, synced, renamed, synced."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import Failed
from labctl.transaction.layout import OURS_ALONE, TREES, Layout

if TYPE_CHECKING:
    from labctl.transaction.decision import FileSeen

STAGED = ".labctl-new"
"""Ends a file that is being written. Quadlet and systemd take no notice of such a name."""


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def refused(problem: OSError) -> Failed:
    """What the disk has against it, and what to free where it is full."""
    hint = "make room on /var and /etc: podman image prune --all, journalctl --vacuum-size=200M"
    return Failed(
        "the disk refuses",
        where=str(problem.filename or "disk"),
        found=problem.strerror,
        hint=hint if problem.errno in _NO_ROOM else None,
    )


def record(path: Path, hint: str) -> dict[str, Any]:
    """What was written down in a file of ours. Raises Failed, with `hint`, where a disk or a hand has damaged it."""
    try:
        document = json.loads(path.read_text())
    except ValueError as problem:
        raise Failed("the file is damaged", where=str(path), found=str(problem), hint=hint) from None
    if not isinstance(document, dict):
        raise Failed("the file is damaged", where=str(path), found=f"{document!r:.60}", hint=hint)
    return document


def _no_effect(_what: str, _path: Path) -> None:
    return


class Disk:
    """Every change of the disk goes through here. before: called with each single step before it is taken."""

    def __init__(self, before: Callable[[str, Path], None] = _no_effect) -> None:
        self._before = before

    def folder(self, path: Path, mode: int) -> None:
        """Make `path`, and what is missing above it, with this mode."""
        if path.is_dir():
            return
        self.folder(path.parent, 0o755)
        self._before("mkdir", path)
        path.mkdir(mode, exist_ok=True)
        path.chmod(mode)
        self._sync(path.parent)

    def write(self, path: Path, content: bytes, mode: int) -> None:
        """Put a file in its place, for good."""
        staged = path.with_name(path.name + STAGED)
        self._before("write", staged)
        staged.unlink(missing_ok=True)
        handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        self.rename(staged, path)

    def rename(self, path: Path, to: Path) -> None:
        """Move, for good."""
        self._before("rename", path)
        path.replace(to)
        self._sync(to.parent)

    def point(self, link: Path, to: str) -> None:
        """Make `link` point to `to`, in one step."""
        staged = link.with_name(link.name + STAGED)
        self._before("symlink", staged)
        staged.unlink(missing_ok=True)
        staged.symlink_to(to)
        self.rename(staged, link)

    def remove(self, path: Path) -> None:
        """Remove a file, for good; harmless where there is none."""
        if path.is_symlink() or path.exists():
            self._before("unlink", path)
            path.unlink()
            self._sync(path.parent)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all in it. A killed one leaves a part: give it a name that nobody reads first."""
        if not path.is_dir():
            return
        for each in sorted(path.iterdir()):
            if each.is_dir() and not each.is_symlink():
                self.remove_tree(each)
            else:
                self._before("unlink", each)
                each.unlink()
        self._before("rmdir", path)
        path.rmdir()
        self._sync(path.parent)

    def copy(self, path: Path, to: Path, mode: int) -> None:
        """Write the content of a file elsewhere."""
        self.folder(to.parent, 0o700)
        self.write(to, path.read_bytes(), mode)

    def _sync(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def seen(path: Path) -> FileSeen:
    """A file's hash and mode. Something that is no file has a hash of none."""
    from labctl.transaction.decision import FileSeen  # `status` needs none of it

    about = path.lstat()
    content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
    digest = hashlib.sha256(content).hexdigest() if stat.S_ISREG(about.st_mode) else ""
    return FileSeen(digest, f"{stat.S_IMODE(about.st_mode):o}")


def installed(layout: Layout) -> dict[str, FileSeen]:
    """All files in the trees, by their staged path; of systemd's only what is named labctl-*."""
    found = {}
    for tree, place in TREES.items():
        top = layout.root / place
        for path in files_below(top):
            rest = path.relative_to(top)
            if tree in OURS_ALONE or rest.parts[0].startswith("labctl-"):
                found[f"{tree}/{rest}"] = seen(path)
    return found


def files_below(top: Path) -> Iterator[Path]:
    """Every file below `top`; links are not followed."""
    if top.is_dir():
        for each in sorted(top.iterdir()):
            if each.is_dir() and not each.is_symlink():
                yield from files_below(each)
            else:
                yield each


def leftovers(layout: Layout) -> list[Path]:
    """What a killed transaction was writing; nobody reads it."""
    tops = [layout.library, layout.generations]
    trees = [layout.edited, *(layout.root / place for tree, place in TREES.items() if tree in OURS_ALONE)]
    found = [path for top in tops if top.is_dir() for path in sorted(top.glob(f"*{STAGED}"))]
    found += [path for top in trees for path in files_below(top) if path.name.endswith(STAGED)]
    return found + sorted((layout.root / TREES["systemd"]).glob(f"labctl-*{STAGED}"))
