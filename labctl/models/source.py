"""Bytes by position, wherever they come from. A file or a range request stands behind it; both are edges."""

from typing import Protocol

from labctl.errors import BadInput


class ByteSource(Protocol):
    """name: for messages. size: bytes in all. read: fewer bytes than asked for only at the end."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...


class BytesInMemory:
    """A source that is already here."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.size = len(content)
        self._content = content

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from offset on."""
        return self._content[offset : offset + length]


class Cursor:
    """Reads a source forwards through a window, so that a header of any length takes little memory.

    `limit` bounds how far it goes: what lies behind it is no header.
    """

    WINDOW_BYTES = 256 * 1024

    def __init__(self, source: ByteSource, limit: int) -> None:
        self.source = source
        self._end = min(source.size, limit)
        self._limited = limit < source.size
        self._start = 0
        self.window = b""
        self.at = 0  # within the window

    @property
    def position(self) -> int:
        """Where the next byte is in the source."""
        return self._start + self.at

    def need(self, n_bytes: int) -> int:
        """Make sure the window holds the next n_bytes; returns where in the window they start, and goes past them.

        Raises `BadInput` when the source ends before.
        """
        at = self.at
        if at + n_bytes > len(self.window):
            self._fill(n_bytes)
            at = 0
        self.at = at + n_bytes
        return at

    def skip(self, n_bytes: int) -> None:
        """Go past n_bytes without reading what is not in the window."""
        self._check(n_bytes)
        if self.at + n_bytes <= len(self.window):
            self.at += n_bytes
            return
        self._start, self.window, self.at = self.position + n_bytes, b"", 0

    def take(self, n_bytes: int) -> bytes:
        """The next n_bytes."""
        at = self.need(n_bytes)
        return self.window[at : at + n_bytes]

    def left(self) -> int:
        """Bytes until the end."""
        return self._end - self.position

    def _fill(self, n_bytes: int) -> None:
        self._check(n_bytes)
        start = self.position
        wanted = min(max(n_bytes, self.WINDOW_BYTES), self._end - start)
        self.window = self.source.read(start, wanted)
        self._start, self.at = start, 0
        if len(self.window) < n_bytes:
            raise self._ends(start, n_bytes)

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._end - self.position:
            raise self._ends(self.position, n_bytes)

    def _ends(self, start: int, n_bytes: int) -> BadInput:
        if self._limited:
            return BadInput(
                "the header does not end where headers do",
                where=self.source.name,
                found=f"more than {self._end} bytes of it",
                hint="the file is damaged, or not a model",
            )
        return BadInput(
            "the file ends within its header",
            where=self.source.name,
            found=f"{self.source.size} bytes",
            expected=f"{n_bytes} more at byte {start}",
            hint="it is truncated or damaged: fetch it again",
        )
