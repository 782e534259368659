"""Model files on this machine, as byte sources."""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from labctl.errors import BadInput


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
