"""GGUF metadata: what is kept of it, and how the rest is passed by.

The tokenizer is most of a header (150,000 tokens, as many merges): its strings are stepped over by their lengths.
"""

import struct
from typing import Final

from labctl.errors import BadInput
from labctl.models.model import MetadataValue
from labctl.models.source import Cursor

MAX_KEY_BYTES = 4096
# Chat templates reach 30 kB. Longer strings are passed by.
MAX_KEPT_STRING_BYTES = 256 * 1024
# Per-layer arrays have an entry per block. Longer arrays are data, of which only the length is kept.
MAX_KEPT_ARRAY = 4096
# What may be kept of one header in all, in bytes of text and numbers of arrays together.
MAX_KEPT = 4 * 1024 * 1024
# Over the whole header: the largest tokenizers have about a million strings.
MAX_SKIPPED_STRINGS = 8 * 1024 * 1024
_STRING, _ARRAY = 8, 9
_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_LENGTH = struct.Struct("<Q")


def read_metadata(cursor: Cursor, n_keys: int) -> tuple[dict[str, MetadataValue], dict[str, int]]:
    """Values by key, without the tokenizer's; and the length of every array that was not kept.

    Raises `BadInput` on anything that the format does not allow.
    """
    values: dict[str, MetadataValue] = {}
    lengths: dict[str, int] = {}
    strings_left = MAX_SKIPPED_STRINGS
    room = MAX_KEPT
    for _ in range(n_keys):
        key = string(cursor, MAX_KEY_BYTES, "a metadata key")
        if key in values or key in lengths:
            raise _bad(cursor, f"metadata key {key[:200]!r} stands there twice", "two", "one")
        (kind,) = struct.unpack("<I", cursor.take(4))
        if kind == _ARRAY:
            kept, lengths[key], walked = _array(cursor, key, strings_left, room)
            strings_left -= walked
            if kept is not None:
                values[key] = kept
                room -= len(kept)
        elif kind == _STRING:
            text = _long_string(cursor, room)
            if text is not None:
                values[key] = text
                room -= len(text)
        else:
            values[key] = _scalar(cursor, key, kind)
    return values, lengths


def string(cursor: Cursor, most: int, what: str) -> str:
    """A string that must be short. Raises `BadInput` where it is not, or is not UTF-8."""
    (length,) = _LENGTH.unpack(cursor.take(8))
    if length > most:
        raise _bad(cursor, f"{what} is too long", f"{length} bytes", f"at most {most}")
    try:
        return cursor.take(length).decode()
    except UnicodeDecodeError as error:
        raise _bad(
            cursor, f"{what} is not UTF-8", f"{error.reason} at its byte {error.start}", "UTF-8"
        ) from error


def _long_string(cursor: Cursor, room: int) -> str | None:
    (length,) = _LENGTH.unpack(cursor.take(8))
    if length > min(MAX_KEPT_STRING_BYTES, room):
        cursor.skip(length)
        return None
    return cursor.take(length).decode(errors="replace")


def _scalar(cursor: Cursor, key: str, kind: int) -> int | float | bool:
    form = _SCALARS.get(kind)
    if form is None:
        raise _bad(cursor, f"metadata key {key[:200]!r} is of an unknown type", str(kind), "0 to 12")
    value: int | float | bool = struct.unpack(form, cursor.take(struct.calcsize(form)))[0]
    return value


def _array(
    cursor: Cursor, key: str, strings_left: int, room: int
) -> tuple[tuple[int | float | bool, ...] | None, int, int]:
    """The numbers when they are few, the length, and how many strings were passed by."""
    kind, length = struct.unpack("<IQ", cursor.take(12))
    if kind == _STRING:
        if length > min(strings_left, cursor.left() // 8):
            raise _bad(
                cursor,
                f"metadata key {key[:200]!r} claims too many strings",
                str(length),
                "what the file can hold",
            )
        _skip_strings(cursor, length)
        return None, length, length
    form = _SCALARS.get(kind)
    if form is None:
        raise _bad(
            cursor,
            f"metadata key {key[:200]!r} is an array of an unknown type",
            str(kind),
            "a scalar or string",
        )
    size = struct.calcsize(form)
    if length > min(MAX_KEPT_ARRAY, room) or key.startswith("tokenizer."):
        cursor.skip(length * size)
        return None, length, 0
    return struct.unpack(f"<{length}{form[1]}", cursor.take(length * size)), length, 0


def _skip_strings(cursor: Cursor, count: int) -> None:
    """Past `count` strings. This loop is where reading a header spends its time, so it works on the window itself."""
    unpack = _LENGTH.unpack_from
    while count:
        window, at = cursor.window, cursor.at
        last = len(window) - 8
        while count and at <= last:
            after = at + 8 + unpack(window, at)[0]
            if after > last + 8:
                break
            at = after
            count -= 1
        cursor.at = at
        if count:  # the next string is cut by the window's edge
            (length,) = _LENGTH.unpack(cursor.take(8))
            cursor.skip(length)
            count -= 1


def _bad(cursor: Cursor, message: str, found: str, expected: str) -> BadInput:
    return BadInput(
        message,
        where=cursor.source.name,
        found=found,
        expected=expected,
        hint="the file is damaged, or no model",
    )
