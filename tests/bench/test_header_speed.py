"""Reading a model of 400 GB: how much memory, and how little of the file."""

from pathlib import Path

import pytest

from labctl.errors import BadInput
from labctl.models.gguf_header import read_gguf_header
from labctl.models.source import Cursor
from tests.bench.header_speed import AIM_MIB, HUGE_BYTES, peak_mib, with_vocabulary, write_huge
from tests.oracle.sparse_gguf import header_bytes


class Counted:
    """Bytes of a header before a hole; counts what is read."""

    def __init__(self, head: bytes, size: int) -> None:
        self.name, self.size = "huge.gguf", size
        self._head = head
        self.n_read = self.n_reads = 0

    def read(self, offset: int, length: int) -> bytes:
        found = self._head[offset : offset + length]
        self.n_read += length
        self.n_reads += 1
        return found + bytes(length - len(found))


def test_a_file_of_400_gb_takes_little_memory(tmp_path: Path) -> None:
    write_huge(tmp_path / "huge.gguf")
    assert (tmp_path / "huge.gguf").stat().st_size == HUGE_BYTES
    assert (tmp_path / "huge.gguf").stat().st_blocks * 512 < 20 * 1000**2
    assert peak_mib(tmp_path / "huge.gguf") < AIM_MIB


def test_what_was_not_read_has_no_peak(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadInput, match="was not read"):
        peak_mib(tmp_path / "no.gguf")


def test_no_byte_is_read_twice_nor_beyond_the_header() -> None:
    head, _ = header_bytes(with_vocabulary("deepseek-v3"))
    source = Counted(head, HUGE_BYTES)
    found = read_gguf_header(source)
    assert len(found.tensors) > 1000
    assert source.n_read < len(head) + 16 * 1024 + Cursor.WINDOW_BYTES
    assert source.n_reads < 2 * len(head) / Cursor.WINDOW_BYTES + 4
