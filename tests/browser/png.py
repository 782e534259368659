"""Pixels of a PNG as Chromium writes it: 8 bits a channel, not interlaced. https://www.w3.org/TR/png-3/."""

import struct
import zlib
from dataclasses import dataclass

Colour = tuple[int, int, int]
_CHANNELS = {2: 3, 6: 4}


@dataclass(frozen=True)
class Pixels:
    """rows: one byte string per line, `channels` bytes a pixel."""

    width: int
    height: int
    channels: int
    rows: tuple[bytes, ...]

    def at(self, x: int, y: int) -> Colour:
        """Red, green, blue."""
        start = x * self.channels
        red, green, blue = self.rows[y][start : start + 3]
        return red, green, blue

    def runs(self, y: int, first: int, end: int) -> list[tuple[Colour, int]]:
        """Colours along a line from `first` to before `end`, with how many pixels each lasts."""
        found: list[tuple[Colour, int]] = []
        for x in range(first, end):
            colour = self.at(x, y)
            if found and found[-1][0] == colour:
                found[-1] = (colour, found[-1][1] + 1)
            else:
                found.append((colour, 1))
        return found


def read(data: bytes) -> Pixels:
    """Raises AssertionError for a PNG of another kind."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, position = [], 8
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        chunks.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    assert (depth, interlaced) == (8, 0)
    channels = _CHANNELS[colour_type]
    raw = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    return Pixels(width, height, channels, tuple(_rows(raw, width * channels, channels)))


def _rows(raw: bytes, length: int, step: int) -> list[bytes]:
    """Each line is stored as the difference to what a filter foretells from the pixels beside and above."""
    rows: list[bytes] = []
    above = bytearray(length)
    for start in range(0, len(raw), length + 1):
        line = bytearray(raw[start + 1 : start + 1 + length])
        _unfilter(raw[start], line, above, step)
        rows.append(bytes(line))
        above = line
    return rows


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    for index in range(len(line)) if kind else ():
        left = line[index - step] if index >= step else 0
        corner = above[index - step] if index >= step else 0
        up = above[index]
        foretold = (0, left, up, (left + up) // 2, 0)[kind] if kind < 4 else _paeth(left, up, corner)
        line[index] = (line[index] + foretold) & 0xFF


def _paeth(left: int, up: int, corner: int) -> int:
    """Whichever of the three is nearest to left + up - corner."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
