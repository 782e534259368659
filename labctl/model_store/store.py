"""The folder of models: where the parts of a model lie, what is whole, and changes that survive a power cut."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from labctl.errors import Failed
from labctl.model_store.request import PART, RECORD, SCHEMA_VERSION, WantedFile, WantedModel

LOCK = ".labctl.lock"
# A full disk stops more than downloads: databases, logs, the next image.
RESERVE_BYTES, RESERVE_PART = 2 * 1024**3, 20
_A_PART = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf")


@dataclass(frozen=True)
class Record:
    """What a model is, as kept beside it. Its files' addresses are not kept: they may hold what opens them."""

    place: str
    source: str
    folder: bool
    files: tuple[WantedFile, ...]

    @property
    def n_bytes(self) -> int | None:
        """Of all its files; None while one is not known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


class Store:
    """One folder of models."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at(self, place: str) -> Path:
        """Where a model lies when it is whole."""
        return self.folder / place

    def staging(self, place: str) -> Path:
        """Where what came so far lies."""
        return self._beside(place, PART)

    def final(self, model: WantedModel | Record, file: WantedFile) -> Path:
        """Where one of its files lies in the end."""
        at = self.at(model.place)
        return (at if model.folder else at.parent) / file.path

    def record(self, place: str) -> Record | None:
        """What was kept of a model; None where nothing was, or it cannot be read."""
        try:
            values = json.loads(self._beside(place, RECORD).read_text())
            files = tuple(WantedFile(**each) for each in values["files"])
            return Record(place, str(values["source"]), bool(values["folder"]), files)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, record: Record) -> None:
        """Write down what a model is, whole or not at all."""
        files = [
            {key: value for key, value in asdict(file).items() if key not in ("url", "copied")}
            for file in record.files
        ]
        values = {**asdict(record), "files": files, "schema_version": SCHEMA_VERSION}
        path = self._beside(record.place, RECORD)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(path.name + PART)
        with staged.open("w") as out:
            out.write(json.dumps(values, indent=1, sort_keys=True) + "\n")
            out.flush()
            os.fsync(out.fileno())
        rename(staged, path)

    def is_whole(self, record: Record) -> bool:
        """Whether each of its files has its final name, and its size."""
        return all(
            file.bytes is not None and size_of(self.final(record, file)) == file.bytes
            for file in record.files
        )

    def by_hand(self, place: str) -> Path | None:
        """What lies at a place without a record: its file or folder, or the first of all its parts."""
        at = self.at(place)
        if at.exists():
            return at
        parts = split_files(at)
        return parts[0] if parts and len(parts) == _count(parts[0]) else None

    def loaded_as(self, place: str) -> str | None:
        """The path below the folder that an engine is given for a whole model: a file, a folder, or the first part.

        None for what is not there, or not whole.
        """
        record = self.record(place)
        if record is None:
            found = self.by_hand(place)
        elif not self.is_whole(record):
            found = None
        else:
            found = self.at(place) if record.folder else self.final(record, record.files[0])
        return None if found is None else str(found.relative_to(self.folder))

    def free_bytes(self) -> int:
        """What may still be written, with what others need left over."""
        return max(0, shutil.disk_usage(self.folder).free - self.reserve_bytes())

    def reserve_bytes(self) -> int:
        """What is left free: 2 GiB, of a small disk a twentieth."""
        return min(RESERVE_BYTES, shutil.disk_usage(self.folder).total // RESERVE_PART)

    @contextmanager
    def locked(self, on_wait: Callable[[], None] | None) -> Iterator[None]:
        """Hold the folder's lock; the kernel lets go of it when this process ends.

        on_wait: called once where another holds it, which is then waited for; without it, Failed is raised.
        """
        path = self.folder / LOCK
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is None:
                    raise Failed(
                        "a pull is under way in this folder",
                        where=str(self.folder),
                        hint="wait for its end, or stop it: systemctl stop 'labctl-models-*'",
                    ) from None
                on_wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _beside(self, place: str, suffix: str) -> Path:
        at = self.at(place)
        return at.with_name(at.name + suffix)


def split_files(at: Path) -> list[Path]:
    """The parts of the split file that would be `at` in one, those that are there, in order."""
    stem = at.name.removesuffix(".gguf")
    found = [
        path
        for path in at.parent.glob("*.gguf")
        if (part := _A_PART.fullmatch(path.name)) and part[1] == stem
    ]
    return sorted(found)


def whole_name(name: str) -> str:
    """What a file is a part of, by its name alone; itself where it is none."""
    part = _A_PART.fullmatch(name)
    return f"{part[1]}.gguf" if part else name


def _count(part: Path) -> int:
    found = _A_PART.fullmatch(part.name)
    return int(found[2]) if found else 1


def size_of(path: Path) -> int | None:
    """Of a regular file; None where there is none."""
    return path.stat().st_size if path.is_file() else None


def bytes_below(path: Path) -> int:
    """Of a file, or of all files in a folder. 0 where there is none."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def rename(path: Path, to: Path) -> None:
    """Move, for good."""
    path.replace(to)
    sync_folder(to.parent)


def sync_folder(folder: Path) -> None:
    """Let a name that was made or removed survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def same_files(one: Sequence[WantedFile], other: Sequence[WantedFile]) -> bool:
    """Whether both are the same bytes, as far as anybody can tell."""
    others = {file.path: file for file in other}
    return others.keys() == {file.path for file in one} and all(
        same_file(file, others[file.path]) for file in one
    )


def same_file(one: WantedFile, other: WantedFile) -> bool:
    """Whether what came of one can be gone on with for the other."""
    for mine, its in ((one.sha256, other.sha256), (one.git_oid, other.git_oid)):
        if mine and its:
            return mine == its
    return one.bytes == other.bytes
