"""The header of one GGUF file: metadata and tensor table, never the tokenizer's lists, never the data.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian. Whatever stands in
the file, reading takes bounded time and memory and ends in a header or in `BadInput`.
"""

import struct
from dataclasses import dataclass
from math import prod

from labctl.errors import BadInput
from labctl.models.ggml_types import BY_NUMBER
from labctl.models.gguf_values import read_metadata, string
from labctl.models.model import MetadataValue, Tensor
from labctl.models.source import ByteSource, Cursor

MAGIC = b"GGUF"
VERSIONS = (2, 3)
# Far above any real file (tensor tables have at most some 20,000 rows, tokenizers 10 MB): bounds for hostile ones.
MAX_HEADER_BYTES = 256 * 1024 * 1024
MAX_TENSORS = 65_536
MAX_KEYS = 4096
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 2**48
MAX_NAME_BYTES = 255  # ggml itself stops at 63
DEFAULT_ALIGNMENT = 32
_SMALLEST_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8
_SMALLEST_KEY_BYTES = 8 + 4 + 1


@dataclass(frozen=True)
class GgufHeader:
    """metadata: scalars, strings and short arrays of numbers; of other arrays only `array_lengths`.

    file_bytes: the file's own size.
    """

    name: str
    version: int
    metadata: dict[str, MetadataValue]
    array_lengths: dict[str, int]
    tensors: tuple[Tensor, ...]
    file_bytes: int


def read_gguf_header(source: ByteSource) -> GgufHeader:
    """Read one file's header. Raises `BadInput` where it is not one, is truncated, or contradicts itself."""
    cursor = Cursor(source, MAX_HEADER_BYTES)
    version, n_tensors, n_keys = _preamble(cursor)
    metadata, array_lengths = read_metadata(cursor, n_keys)
    tensors, data_bytes = _tensor_table(cursor, n_tensors)
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= 2**20:
        raise _bad(cursor, "general.alignment cannot be meant", str(alignment), "a power of two, as 32")
    data_start = -(-cursor.position // alignment) * alignment
    if n_tensors and data_start + data_bytes > source.size:
        raise BadInput(
            "the file is shorter than its tensors",
            where=source.name,
            found=f"{source.size} bytes",
            expected=f"{data_start + data_bytes}",
            hint="the download did not finish: fetch it again",
        )
    return GgufHeader(source.name, version, metadata, array_lengths, tensors, source.size)


def _preamble(cursor: Cursor) -> tuple[int, int, int]:
    magic = cursor.take(4)
    if magic != MAGIC:
        raise _bad(cursor, "this is not a GGUF file", f"{magic!r}", f"{MAGIC!r} as its first bytes")
    at = cursor.need(4)
    (version,) = struct.unpack_from("<I", cursor.window, at)
    if version not in VERSIONS:
        if version & 0xFFFF == 0:
            raise _bad(cursor, "this GGUF file is big-endian", f"version {version}", "a little-endian file")
        raise _bad(cursor, "this version of GGUF is not read", str(version), "2 or 3")
    n_tensors, n_keys = struct.unpack("<QQ", cursor.take(16))
    for count, most, smallest, what in (
        (n_tensors, MAX_TENSORS, _SMALLEST_TENSOR_BYTES, "tensors"),
        (n_keys, MAX_KEYS, _SMALLEST_KEY_BYTES, "metadata keys"),
    ):
        if count > min(most, cursor.left() // smallest):
            raise _bad(
                cursor,
                f"the header claims too many {what}",
                str(count),
                f"at most {most}, and a file that holds them",
            )
    return version, n_tensors, n_keys


def _tensor_table(cursor: Cursor, n_tensors: int) -> tuple[tuple[Tensor, ...], int]:
    """The table, and how many bytes of data it speaks of."""
    tensors: dict[str, Tensor] = {}
    end = 0
    for _ in range(n_tensors):
        name = string(cursor, MAX_NAME_BYTES, "a tensor's name")
        (n_dimensions,) = struct.unpack("<I", cursor.take(4))
        if n_dimensions > MAX_DIMENSIONS:
            raise _bad(
                cursor,
                f"tensor {name!r} has too many dimensions",
                str(n_dimensions),
                f"at most {MAX_DIMENSIONS}",
            )
        shape = struct.unpack(f"<{n_dimensions}Q", cursor.take(8 * n_dimensions))
        number, offset = struct.unpack("<IQ", cursor.take(12))
        tensor = _tensor(cursor, name, shape, number)
        if tensors.setdefault(name, tensor) is not tensor:
            raise _bad(cursor, f"tensor {name!r} stands in the table twice", "two", "one")
        end = max(end, offset + tensor.n_bytes)
    return tuple(tensors.values()), end


def _tensor(cursor: Cursor, name: str, shape: tuple[int, ...], number: int) -> Tensor:
    kind = BY_NUMBER.get(number)
    if kind is None:
        raise _bad(
            cursor, f"tensor {name!r} is of an unknown type", f"type {number}", "one that ggml has today"
        )
    n_elements = prod(shape)
    # The product of ints in Python never overflows; the engine's would.
    if min(shape, default=1) < 1 or n_elements > MAX_ELEMENTS:
        raise _bad(
            cursor, f"tensor {name!r} has an impossible shape", "×".join(map(str, shape)), "positive sizes"
        )
    row = shape[0] if shape else 1
    if row % kind.block:
        raise _bad(
            cursor,
            f"tensor {name!r} has rows that {kind.name} cannot store",
            str(row),
            f"a multiple of {kind.block}",
        )
    return Tensor(name, kind.name, shape, kind.row_bytes(n_elements))


def _bad(cursor: Cursor, message: str, found: str, expected: str) -> BadInput:
    return BadInput(
        message,
        where=cursor.source.name,
        found=found[:200],
        expected=expected,
        hint="the file is damaged, or made for another program",
    )
