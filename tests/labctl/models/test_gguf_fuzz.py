"""Damaged headers: whatever stands in them, reading ends in a model or in `BadInput`, with bounded work."""

import random
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from labctl.errors import BadInput
from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.estimate import estimate
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.source import BytesInMemory
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import header_bytes

FAST, SLOW = 1_000, 20_000
# Read by damage more often than by chance: limits of the fields' types.
_NUMBERS = [0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]
_SMALL = ("llama-3.2-1b", "lfm2-1.2b", "gpt-oss-20b", "deepseek-v2-lite")
_MOST_BYTES = 64 * 1024 * 1024


class Counted(BytesInMemory):
    """Counts what is read, and claims to be as large as the data would make it."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__("damaged.gguf", content)
        self.size = size
        self.n_read = 0

    def read(self, offset: int, length: int) -> bytes:
        found = super().read(offset, length)
        self.n_read += len(found)
        return found


def damaged(seed: int, count: int) -> Iterator[Counted]:
    chance = random.Random(seed)
    whole = {name: header_bytes(SHAPES[name]()) for name in _SMALL}
    for _ in range(count):
        head, data = whole[chance.choice(_SMALL)]
        content = bytearray(head)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content) - 8) if chance.random() < 0.5 else chance.randrange(600)
            match chance.randrange(5):
                case 0:
                    content[at] = chance.randrange(256)
                case 1:
                    content[at : at + 8] = struct.pack("<Q", chance.choice(_NUMBERS))
                case 2:
                    content[at : at + 4] = struct.pack("<I", chance.choice(_NUMBERS) % 2**32)
                case 3:
                    del content[at : at + chance.randint(1, 64)]
                case _:
                    content[at:at] = chance.randbytes(chance.randint(1, 64))
        yield Counted(bytes(content), len(head) + data)


def survive(seed: int, count: int) -> tuple[int, int]:
    """How many were read, and how many were refused."""
    models = refused = 0
    tracemalloc.start()
    for source in damaged(seed, count):
        try:
            model = model_from_gguf([read_gguf_header(source)])
        except BadInput:
            refused += 1
            continue
        finally:
            assert source.n_read <= 2 * len(source._content) + 1024**2
        models += 1
        with suppress(BadInput):
            estimate(model, Request("llama.cpp", 4096))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < _MOST_BYTES
    return models, refused


def test_damaged_headers_end_cleanly() -> None:
    models, refused = survive(seed=1, count=FAST)
    assert models > FAST // 100
    assert refused > FAST // 100


@pytest.mark.nightly
def test_many_damaged_headers_end_cleanly() -> None:
    survive(seed=2, count=SLOW)
