"""GGUF headers: what is read, what is refused and how, how much of a file is touched."""

import struct

import pytest

from labctl.errors import BadInput
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.model import Model
from labctl.models.source import BytesInMemory
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import Header, header_bytes

TINY = Header(
    "llama", {"llama.block_count": 1, "general.name": "tiny"}, {"token_embd.weight": ("f32", (32, 8))}
)
VOCABULARY = 150_000


def head_of(header: Header, version: int = 3) -> bytes:
    head, data = header_bytes(header, version=version)
    return head + bytes(data)


def read(content: bytes) -> Model:
    return model_from_gguf([read_gguf_header(BytesInMemory("m.gguf", content))])


@pytest.mark.parametrize("version", [2, 3])
def test_versions_two_and_three_are_read(version: int) -> None:
    header = read_gguf_header(BytesInMemory("m.gguf", head_of(TINY, version)))
    assert (header.version, header.metadata["general.name"], len(header.tensors)) == (version, "tiny", 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file ends within its header"),
        (b"GGML" + bytes(64), "this is not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(64), "this version of GGUF is not read"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(64), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 1) + bytes(64), "too many tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40) + bytes(64), "too many metadata keys"),
        (head_of(TINY)[:-1], "the file is shorter than its tensors"),
        (head_of(TINY)[:100], "the file ends within its header"),
    ],
)
def test_what_is_no_header_is_refused_with_a_reason(content: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        read(content)
    assert refused.value.where is not None
    assert refused.value.where.startswith("m.gguf")


def test_every_cut_is_refused() -> None:
    content = head_of(TINY)
    for length in range(len(content)):
        with pytest.raises(BadInput):
            read(content[:length])


def test_the_tokenizer_is_passed_by() -> None:
    tokens = [f"token{number}" for number in range(VOCABULARY)]
    header = Header("llama", {"tokenizer.ggml.tokens": tokens, **TINY.metadata}, TINY.tensors)
    found = read_gguf_header(BytesInMemory("m.gguf", head_of(header)))
    assert found.array_lengths["tokenizer.ggml.tokens"] == VOCABULARY
    assert "tokenizer.ggml.tokens" not in found.metadata
    assert found.metadata["llama.block_count"] == 1


def test_parts_of_a_split_file_are_one_model() -> None:
    parts = [
        Header("llama", {**TINY.metadata, "split.no": 0, "split.count": 2}, TINY.tensors),
        Header("llama", {"split.no": 1, "split.count": 2}, {"blk.0.attn_norm.weight": ("f32", (32,))}),
    ]
    headers = [
        read_gguf_header(BytesInMemory(f"{number}.gguf", head_of(part))) for number, part in enumerate(parts)
    ]
    found = model_from_gguf(headers)
    assert (found.n_files, len(found.tensors)) == (2, 2)
    with pytest.raises(BadInput, match="do not belong together"):
        model_from_gguf(headers[:1])
    with pytest.raises(BadInput, match="do not belong together"):
        model_from_gguf(headers[::-1])


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("llama-3.1-8b", 8.03),
        ("llama-3.1-70b", 70.55),
        ("qwen3-30b-a3b", 30.53),
        ("deepseek-v3", 671.03),
        ("gpt-oss-20b", 20.91),
        ("gemma-3-27b", 27.01),
        ("mixtral-8x7b", 46.70),
        ("llama-4-scout", 107.77),
        ("mamba2-2.7b", 2.70),
    ],
)
def test_parameters_are_those_that_are_published(name: str, billions: float) -> None:
    head, data = header_bytes(SHAPES[name]())
    source = BytesInMemory(name, head)
    source.size = len(head) + data
    found = model_from_gguf([read_gguf_header(source)])
    assert round(found.parameters.total / 1e9, 2) == billions
    assert found.confidence == "high"


def test_an_unknown_architecture_is_read_with_low_confidence() -> None:
    found = read(head_of(Header("frobnicator", {"frobnicator.block_count": 1}, TINY.tensors)))
    assert found.confidence == "low"
    assert "frobnicator" in found.notes[0]
