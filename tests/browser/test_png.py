"""The reader of pictures, on pictures that are written here with every filter there is."""

import platform
import shutil
import struct
import zlib

import pytest

from tests.browser.chromium import PROGRAM
from tests.browser.png import read

WIDTH, HEIGHT = 5, 4


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows: list[bytes], kind: int, channels: int) -> bytes:
    """A PNG whose lines are stored with one filter."""
    lines = []
    above = bytes(len(rows[0]))
    for row in rows:
        left = bytes(channels) + row[:-channels]
        corner = bytes(channels) + above[:-channels]
        foretold = {
            0: bytes(len(row)),
            1: left,
            2: above,
            3: bytes((a + b) // 2 for a, b in zip(left, above, strict=True)),
            4: bytes(paeth(*each) for each in zip(left, above, corner, strict=True)),
        }[kind]
        lines.append(bytes([kind]) + bytes((a - b) % 256 for a, b in zip(row, foretold, strict=True)))
        above = row
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    packed = zlib.compress(b"".join(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def paeth(a: int, b: int, c: int) -> int:
    """As the standard writes it down."""
    p = a + b - c
    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
    if pa <= pb and pa <= pc:
        return a
    return b if pb <= pc else c


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", range(5))
def test_every_filter_is_undone(kind: int, channels: int) -> None:
    rows = [
        bytes((17 * x * x + 91 * y + 5 * x * y) % 256 for x in range(WIDTH * channels)) for y in range(HEIGHT)
    ]
    found = read(png(rows, kind, channels))
    assert (found.width, found.height) == (WIDTH, HEIGHT)
    assert list(found.rows) == rows


def test_runs_of_a_colour() -> None:
    red, blue = b"\xff\0\0", b"\0\0\xff"
    found = read(png([red * 2 + blue * 3] * HEIGHT, 1, 3))
    assert found.runs(1, 0, WIDTH) == [((255, 0, 0), 2), ((0, 0, 255), 3)]


@pytest.mark.host
def test_debian_has_the_browser() -> None:
    """Or the pages would go unseen without anybody noticing."""
    assert shutil.which(PROGRAM) or platform.freedesktop_os_release()["ID"] != "debian"
