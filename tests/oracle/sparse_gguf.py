"""Writes GGUF files with a true header and a hole where the data would be: kilobytes on disk, any size to read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

Value = int | float | bool | str | Sequence[int] | Sequence[float] | Sequence[bool] | Sequence[str]
ALIGNMENT = 32
# name: (number in the file, elements per block, bytes per block), as ggml.h and ggml-common.h have them.
TYPES = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q4_0": (2, 32, 18),
    "q8_0": (8, 32, 34),
    "q4_k": (12, 256, 144),
    "q6_k": (14, 256, 210),
    "bf16": (30, 1, 2),
    "mxfp4": (39, 32, 17),
}
_U32, _F32, _BOOL, _STRING, _ARRAY, _I32 = 4, 6, 7, 8, 9, 5


@dataclass(frozen=True)
class Header:
    """metadata: without `general.architecture` and the file's bookkeeping. tensors: name → (type, shape)."""

    architecture: str
    metadata: Mapping[str, Value]
    tensors: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)


def tensor_bytes(kind: str, shape: Sequence[int]) -> int:
    """Bytes of one tensor as stored, without padding."""
    _, block, n_bytes = TYPES[kind]
    assert shape[0] % block == 0, (kind, shape)
    return prod(shape) // block * n_bytes


def header_bytes(header: Header, *, version: int = 3) -> tuple[bytes, int]:
    """The header, padded, and how many bytes of data belong behind it."""
    metadata: dict[str, Value] = {
        "general.architecture": header.architecture,
        **header.metadata,
    }
    out = [b"GGUF", struct.pack("<IQQ", version, len(header.tensors), len(metadata))]
    out += [_string(key) + _value(value) for key, value in metadata.items()]
    offset = 0
    for name, (kind, shape) in header.tensors.items():
        out.append(_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        out.append(struct.pack("<IQ", TYPES[kind][0], offset))
        offset += -(-tensor_bytes(kind, shape) // ALIGNMENT) * ALIGNMENT
    joined = b"".join(out)
    return joined + bytes(-len(joined) % ALIGNMENT), offset


def write(path: Path, header: Header) -> int:
    """Write the file; returns its size as `ls` shows it."""
    head, data = header_bytes(header)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + data)
    return len(head) + data


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    if isinstance(value, (list, tuple)):
        kind = _kind(value[0]) if value else _U32
        kind = _I32 if kind == _U32 and any(item < 0 for item in value) else kind
        return struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(_scalar(kind, item) for item in value)
    kind = _kind(value)
    return struct.pack("<I", kind) + _scalar(kind, value)


def _kind(value: object) -> int:
    match value:
        case bool():
            return _BOOL
        case int():
            return _U32 if value >= 0 else _I32
        case float():
            return _F32
        case _:
            return _STRING


def _scalar(kind: int, value: object) -> bytes:
    if kind == _STRING:
        return _string(str(value))
    return struct.pack({_U32: "<I", _I32: "<i", _F32: "<f", _BOOL: "<?"}[kind], value)
