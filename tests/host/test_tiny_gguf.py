"""The demo's model, read back by the format's own reader. That llama.cpp loads it is shown by the demo itself."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from tests.host import tiny_gguf


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    tiny_gguf.write_tiny_gguf(path)
    return path


def test_the_same_bytes_come_out_every_time(model: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.gguf"
    tiny_gguf.write_tiny_gguf(again)
    assert again.read_bytes() == model.read_bytes()
    assert len(model.read_bytes()) < 500_000


def test_the_header_describes_the_tensors(model: Path) -> None:
    reader = GGUFReader(model)

    def value(key: str) -> int:
        field = reader.get_field(f"llama.{key}")
        assert field is not None, key
        return int(field.contents())

    shapes = {tensor.name: tuple(int(size) for size in tensor.shape) for tensor in reader.tensors}
    width, feed_forward, vocabulary = (
        value(k) for k in ("embedding_length", "feed_forward_length", "vocab_size")
    )
    # GGUF counts dimensions the other way round than numpy: columns first.
    assert shapes["token_embd.weight"] == shapes["output.weight"] == (width, vocabulary)
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blk.")}
    assert blocks == {str(block) for block in range(value("block_count"))}
    for block in blocks:
        assert shapes[f"blk.{block}.attn_q.weight"] == (width, width)
        assert shapes[f"blk.{block}.ffn_down.weight"] == (feed_forward, width)
    assert value("rope.dimension_count") * value("attention.head_count") == width


def test_the_tokenizer_has_a_token_for_every_byte(model: Path) -> None:
    reader = GGUFReader(model)

    def strings(key: str) -> list[str]:
        field = reader.get_field(f"tokenizer.ggml.{key}")
        assert field is not None, key
        contents = field.contents()
        assert isinstance(contents, list)
        return contents

    tokens = strings("tokens")
    assert len(set(tokens)) == len(tokens)
    # The anchors of the GPT-2 alphabet: a visible byte is itself, a space is U+0120, a line feed U+010A.
    assert (tokens[ord("a")], tokens[0x20], tokens[0x0A], tokens[0xFF]) == ("a", "Ġ", "Ċ", "ÿ")
    for merge in strings("merges"):
        assert merge.replace(" ", "") in tokens


def test_only_letters_and_the_space_can_be_said(model: Path) -> None:
    output = next(tensor for tensor in GGUFReader(model).tensors if tensor.name == "output.weight")
    loud = {int(row) for row in np.flatnonzero(np.abs(output.data).sum(axis=1))}
    assert bytes(sorted(loud)) == b" abcdefghijklmnopqrstuvwxyz"
