"""Files and directories on this machine as models."""

import json
import struct
from pathlib import Path

import pytest

from labctl.edges.model_reader import read_model
from labctl.errors import BadInput
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import Header, Value, write

LLAMA = SHAPES["llama-3.2-1b"]()
WIDTH = 2048
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 16,
    "intermediate_size": 16, "tie_word_embeddings": True,
}  # fmt: skip


def projector(width: int) -> Header:
    metadata: dict[str, Value] = {"clip.vision.projection_dim": width, "general.type": "mmproj"}
    return Header("clip", metadata, {"v.patch_embd.weight": ("f16", (14, 14, 3, 1152))})


def safetensors(**tensors: tuple[str, list[int], int]) -> bytes:
    """dtype, shape and bytes per tensor, and a hole where the data would be."""
    table, at = {}, 0
    for name, (dtype, shape, n_bytes) in tensors.items():
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n_bytes]}
        at += n_bytes
    head = json.dumps(table).encode()
    return struct.pack("<Q", len(head)) + head + bytes(at)


def split(folder: Path, count: int = 3) -> list[Path]:
    """A model in parts, each with some of the tensors."""
    tensors = list(LLAMA.tensors.items())
    paths = []
    for number in range(count):
        metadata = {**(LLAMA.metadata if number == 0 else {}), "split.no": number, "split.count": count}
        path = folder / f"m-Q4_K_M-{number + 1:05}-of-{count:05}.gguf"
        write(path, Header("llama", metadata, dict(tensors[number::count])))
        paths.append(path)
    return paths


def refused(text: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_model(str(text))
    assert caught.value.where
    assert caught.value.exit_code == 2
    return caught.value


def test_a_gguf_file_is_a_model(tmp_path: Path) -> None:
    size = write(tmp_path / "m.gguf", LLAMA)
    found = read_model(str(tmp_path / "m.gguf"))
    assert (found.model.architecture, found.model.n_layers, found.model.file_bytes) == ("llama", 16, size)
    assert found.where == str(tmp_path / "m.gguf")
    assert not found.choices


def test_a_gguf_file_needs_no_suffix(tmp_path: Path) -> None:
    write(tmp_path / "sha256-1234", LLAMA)
    assert read_model(str(tmp_path / "sha256-1234")).model.n_layers == 16


@pytest.mark.parametrize("part", [0, 2])
def test_any_part_finds_the_others(part: int, tmp_path: Path) -> None:
    paths = split(tmp_path)
    found = read_model(str(paths[part])).model
    assert (found.n_files, len(found.tensors)) == (3, len(LLAMA.tensors))


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    paths = split(tmp_path)
    paths[1].unlink()
    said = refused(paths[0])
    assert said.expected == paths[1].name
    assert said.found == "2 of 3 parts"


def test_a_directory_with_one_model_is_that_model(tmp_path: Path) -> None:
    split(tmp_path)
    write(tmp_path / "mmproj-F16.gguf", projector(WIDTH))
    write(tmp_path / "mmproj-BF16.gguf", projector(WIDTH))
    found = read_model(str(tmp_path))
    assert found.model.n_files == 3
    assert [each.kind for each in found.companions] == ["mmproj"]


def test_a_projector_of_another_model_is_none_of_this_one(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", LLAMA)
    write(tmp_path / "mmproj-other.gguf", projector(5120))
    (tmp_path / "mmproj-broken.gguf").write_bytes(b"GGUF")
    assert read_model(str(tmp_path / "m.gguf")).companions == ()


def test_a_projector_alone_is_read_as_one(tmp_path: Path) -> None:
    write(tmp_path / "mmproj-model.gguf", projector(WIDTH))
    assert read_model(str(tmp_path / "mmproj-model.gguf")).model.kind == "mmproj"


def test_a_directory_with_several_models_lists_them(tmp_path: Path) -> None:
    for name in ("a-Q4_K_M.gguf", "b-Q8_0.gguf"):
        write(tmp_path / name, LLAMA)
    said = refused(tmp_path)
    assert said.found is not None
    assert "a-Q4_K_M.gguf (0.7 GB)" in said.found
    assert "b-Q8_0.gguf" in said.found
    assert said.hint == f"name the file, or {tmp_path}:Q4_K_M"
    assert read_model(f"{tmp_path}:q8_0").where == str(tmp_path / "b-Q8_0.gguf")
    assert "Q4_K_M, Q8_0" in str(refused(f"{tmp_path}:Q2_K"))


def test_a_directory_of_safetensors_is_read_from_its_headers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(
        safetensors(**{"model.embed_tokens.weight": ("BF16", [16, 8], 256)})
    )
    (tmp_path / "model.fp16.safetensors").write_bytes(b"another precision, not looked at")
    (tmp_path / "consolidated.safetensors").write_bytes(b"another program's, not looked at")
    found = read_model(str(tmp_path)).model
    assert (found.name, found.file_bytes, found.n_files, found.confidence) == (tmp_path.name, 256, 1, "high")
    assert found.parameters.embedding == 128


def test_what_makes_embeddings_is_no_chat_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert read_model(str(tmp_path)).model.kind == "llm"
    (tmp_path / "modules.json").write_text("[]")
    assert read_model(str(tmp_path)).model.kind == "embedding"


def with_index(folder: Path, total: int) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    index = {
        "metadata": {"total_size": total},
        "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_an_index_says_which_files_are_read(tmp_path: Path) -> None:
    with_index(tmp_path, 0)
    for number, name in enumerate("ab", 1):
        path = tmp_path / f"model-0000{number}-of-00002.safetensors"
        path.write_bytes(safetensors(**{name: ("BF16", [16, 8], 256)}))
    found = read_model(str(tmp_path)).model
    assert (found.file_bytes, found.n_files, len(found.tensors)) == (512, 2, 2)


def test_an_index_without_its_files_says_the_size(tmp_path: Path) -> None:
    with_index(tmp_path, 16_060_522_496)
    found = read_model(str(tmp_path)).model
    assert (found.file_bytes, found.tensors, found.confidence) == (16_060_522_496, (), "medium")
    assert "model-00001-of-00002.safetensors" in found.notes[0]


def test_pickled_weights_are_as_large_as_their_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(3000))
    (tmp_path / "training_args.bin").write_bytes(bytes(5000))
    found = read_model(str(tmp_path)).model
    assert (found.file_bytes, found.n_files, found.confidence) == (3000, 1, "medium")
    assert "pickled" in found.notes[0]


def test_a_diffusers_directory_is_read_part_by_part(tmp_path: Path) -> None:
    index = {
        "_class_name": "FluxPipeline",
        "transformer": ["d", "F"],
        "vae": ["d", "A"],
        "scheduler": ["d", "S"],
    }
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    for part, name in (("transformer", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model.fp16")):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"{name}.safetensors").write_bytes(safetensors(w=("BF16", [4, 4], 32)))
    (tmp_path / "flux1-dev.safetensors").write_bytes(b"the same for another program")
    found = read_model(str(tmp_path)).model
    assert (found.kind, found.file_bytes, found.n_files) == ("diffusion", 64, 2)


@pytest.mark.parametrize(
    ("files", "says", "hint"),
    [
        ({}, "there is no model here", "repository that holds"),
        ({"README.md": "x"}, "there is no model here", "repository that holds"),
        ({"adapter_config.json": '{"base_model_name_or_path": "a/b"}'}, "adapter", "a/b"),
        ({"config.json": "[]"}, "no config", ""),
        ({"config.json": json.dumps(CONFIG), "model.safetensors.index.json": "{}"}, "no index", ""),
    ],
)
def test_a_directory_without_a_model_is_refused(
    files: dict[str, str], says: str, hint: str, tmp_path: Path
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    said = refused(tmp_path)
    assert says in said.message
    assert hint in (said.hint or "")


def test_an_index_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    index = {"weight_map": {"a": "../../etc/x.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "cannot be meant" in refused(tmp_path).message


@pytest.mark.parametrize(
    "text", ["./none", "none.gguf", "models/none.gguf", "/none/at/all", "", "a b c", "llama"]
)
def test_what_is_not_there_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput):
        read_model(text)


def test_a_part_of_a_directory_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert str(tmp_path) in str(refused(tmp_path / "model.safetensors").hint)


def test_a_path_has_no_revision(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", LLAMA)
    with pytest.raises(BadInput, match="revision"):
        read_model(str(tmp_path / "m.gguf"), revision="main")
