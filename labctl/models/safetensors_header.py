"""The header of one safetensors file: a tensor table in JSON, before any data.

Format: https://github.com/huggingface/safetensors#format. Eight bytes of length, then that many bytes of JSON.
"""

import json
import struct
from math import prod
from typing import Any, TypeGuard

from labctl.errors import BadInput
from labctl.models.model import Tensor
from labctl.models.source import ByteSource

# The library itself allows 100 MB; real headers have some hundred kB, of a quantized mixture of experts some MB.
MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_DIMENSIONS = 16
MAX_ELEMENTS = 2**48
_BITS = {
    "f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "i32": 32, "i16": 16, "i8": 8, "u64": 64, "u32": 32,
    "u16": 16, "u8": 8, "bool": 8, "f8_e4m3": 8, "f8_e5m2": 8, "f8_e8m0": 8, "f4": 4, "f6_e2m3": 6, "f6_e3m2": 6,
}  # fmt: skip


def read_safetensors_header(source: ByteSource) -> tuple[Tensor, ...]:
    """The tensor table, shapes innermost first. Raises `BadInput` where it is none, is cut, or contradicts itself."""
    start = source.read(0, 8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= length <= min(MAX_HEADER_BYTES, source.size - 8):
        raise _bad(
            source,
            "this is no safetensors file, or it is cut",
            f"{source.size} bytes",
            "a header and its data",
        )
    try:
        table = json.loads(source.read(8, length))
    except (ValueError, RecursionError) as error:
        raise _bad(source, "the header is no JSON", str(error)[:80], "a table of tensors") from error
    if not isinstance(table, dict):
        raise _bad(source, "the header is no table", type(table).__name__, "names and tensors")
    data = source.size - 8 - length
    return tuple(
        _tensor(source, name, entry, data) for name, entry in table.items() if name != "__metadata__"
    )


def _tensor(source: ByteSource, name: str, entry: Any, data_bytes: int) -> Tensor:
    if not isinstance(entry, dict):
        raise _bad(
            source, f"tensor {name[:100]!r} is described by nothing", repr(entry)[:80], "dtype and shape"
        )
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    bits = _BITS.get(dtype.lower()) if isinstance(dtype, str) else None
    if bits is None or not isinstance(dtype, str):
        raise _bad(
            source, f"tensor {name[:100]!r} is of an unknown type", repr(dtype)[:40], "BF16, F16, F8_E4M3 …"
        )
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS or prod(shape) > MAX_ELEMENTS:
        raise _bad(source, f"tensor {name[:100]!r} has an impossible shape", repr(shape)[:80], "sizes")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise _bad(
            source, f"tensor {name[:100]!r} has no place", repr(offsets)[:80], "its first and last byte"
        )
    n_bytes = offsets[1] - offsets[0]
    if n_bytes != -(-prod(shape) * bits // 8) or offsets[1] > data_bytes:
        raise _bad(
            source,
            f"tensor {name[:100]!r} does not fit its place",
            f"{n_bytes} bytes",
            "its shape's, in the file",
        )
    return Tensor(name, dtype.lower(), tuple(reversed(shape)), n_bytes)


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**62 for item in value)


def _bad(source: ByteSource, message: str, found: str, expected: str) -> BadInput:
    return BadInput(
        message,
        where=source.name,
        found=found,
        expected=expected,
        hint="fetch the file again, or name another",
    )
