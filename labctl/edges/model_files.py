"""Model files on this machine, as byte sources."""

import os
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from labctl.errors import BadInput

# A directory of a model has some hundred files; looking further would walk somebody's disk.
MAX_FILES = 20_000


class FileSource:
    """An open file; use it in `with`. Reads where it is told to, so holes and data are never touched."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise BadInput(
                "the file cannot be opened", where=self.name, found=error.strerror, hint="is the path right?"
            ) from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise BadInput(
                "this is no file", where=self.name, hint="name a model file, or a directory with config.json"
            )
        self.size = status.st_size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from offset on; fewer only at the end."""
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise BadInput("the file cannot be read", where=self.name, found=error.strerror) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


class Directory:
    """A directory as a repository of model files: its own, and with `folders` those one folder further down."""

    remote = False

    def __init__(self, path: Path, *, folders: bool = True) -> None:
        self.name = str(path)
        self.title = path.resolve().name
        self._path = path
        self._folders = folders

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Name → bytes; names with `/` inside folders. Raises `BadInput` where the directory cannot be read."""
        found: dict[str, int] = {}
        try:
            folders = self._collect(self._path, "", found)
            for folder in folders if self._folders else ():
                self._collect(self._path / folder, f"{folder}/", found)
        except OSError as error:
            raise BadInput(
                "the directory cannot be read",
                where=self.name,
                found=error.strerror,
                hint="is the path right?",
            ) from error
        return found

    def open(self, file: str) -> FileSource:
        """One file as a source, to be used in `with`."""
        return FileSource(self._path / file)

    def _collect(self, path: Path, prefix: str, found: dict[str, int]) -> list[str]:
        folders = []
        with os.scandir(path) as entries:
            for entry in entries:
                if len(found) >= MAX_FILES:
                    raise BadInput(
                        "this is no model's directory",
                        where=self.name,
                        found=f"more than {MAX_FILES} files",
                        hint="name the directory that holds config.json, or the .gguf file",
                    )
                if entry.is_dir():
                    if not entry.name.startswith("."):
                        folders.append(entry.name)
                elif entry.is_file():  # follows links: the hub's own cache is full of them
                    found[prefix + entry.name] = entry.stat().st_size
        return sorted(folders)
