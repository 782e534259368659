"""Where a model comes from, and which files it is: from a simulated hub, addresses, and folders of this machine."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.edges.candidates import Wanted, find
from labctl.edges.model_origins import Origin, origin
from labctl.errors import BadInput
from labctl.render.model_need import NeededModel
from labctl.render.model_place import place_of
from tests.labctl.edges.hub_server import REPOSITORY, TOKEN, Hub, serving

SMALL, LARGE = b"{}", b"weights" * 1000
NAMES = (
    *("m-Q4_K_M.gguf", "Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf"),
    *("mmproj-F16.gguf", "mmproj-F32.gguf", "model.safetensors", "tokenizer.json", "pytorch_model.bin"),
)


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    files = {name: (LARGE, len(LARGE)) for name in NAMES} | {"config.json": (SMALL, len(SMALL))}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    with serving(Hub(files, hashes=True)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def need(model: str = REPOSITORY, quant: str = "Q4_K_M", engine: str = "llama.cpp") -> NeededModel:
    return NeededModel(place_of(model, quant, engine), model, quant, engine, ())


def nothing(_: str) -> Mapping[str, int]:
    return {}


def came(needed: NeededModel, said: str | None = None, sha256: str | None = None) -> Origin:
    return origin(needed, said, sha256, nothing)


def names(found: Origin) -> list[str]:
    return [file.path for file in found.wanted.files]


def test_a_gguf_of_the_hub_comes_with_size_and_checksum(hub: Hub) -> None:
    found = came(need())
    assert (found.repository, found.token, found.endpoint) == (REPOSITORY, TOKEN, hub.url)
    assert found.wanted.place == f"{REPOSITORY}/model-GGUF-Q4_K_M.gguf"
    [file] = found.wanted.files
    assert (file.path, file.bytes) == ("model-GGUF-Q4_K_M.gguf", len(LARGE))
    assert file.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert file.url is not None
    assert file.url.endswith("m-Q4_K_M.gguf")


def test_a_split_one_keeps_its_numbers() -> None:
    found = came(need(quant="Q8_0"))
    assert names(found) == [f"model-GGUF-Q8_0-0000{part}-of-00002.gguf" for part in (1, 2)]
    assert not found.wanted.folder


def test_others_get_the_whole_folder_and_small_files_git_s_hash() -> None:
    found = came(need(quant="bf16", engine="vllm"))
    assert found.wanted.folder
    assert sorted(names(found)) == ["config.json", "model.safetensors", "tokenizer.json"]
    hashes = {file.path: (file.sha256, file.git_oid) for file in found.wanted.files}
    assert hashes["config.json"] == (None, hashlib.sha1(b"blob 2\0{}").hexdigest())
    assert hashes["model.safetensors"] == (hashlib.sha256(LARGE).hexdigest(), None)


def test_what_lets_it_see_is_the_usual_projector() -> None:
    needed = NeededModel(
        f"{REPOSITORY}/mmproj.gguf", REPOSITORY, "Q4_K_M", "llama.cpp", (), is_projector=True
    )
    [file] = came(needed).wanted.files
    assert (file.path, str(file.url).rsplit("/", 1)[-1]) == ("mmproj.gguf", "mmproj-F16.gguf")


def test_a_quantization_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BadInput) as refused:
        came(need(quant="Q5_K_M"))
    assert "Q4_K_M" in str(refused.value.expected)
    assert "Q8_0" in str(refused.value.expected)


def test_two_quantizations_of_one_model_are_refused() -> None:
    assert names(came(need("mine", quant="q4_k_m"), f"{REPOSITORY}:Q4_K_M"))
    with pytest.raises(BadInput, match="two quantizations"):
        came(need("mine"), f"{REPOSITORY}:Q8_0")


def test_a_repository_that_is_not_there_names_like_ones() -> None:
    with pytest.raises(BadInput) as refused:
        came(need("someone/modle-GGUF"))
    assert REPOSITORY in str(refused.value.hint)


def test_a_catalogue_model_knows_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def listed(name: str, _revision: str | None) -> _Listed:
        asked.append(name)
        return _Listed(name)

    monkeypatch.setattr("labctl.edges.hub.HubRepository", listed)
    for model, quant, engine in (
        ("llama-3.1-8b", "Q4_K_M", "llama.cpp"),
        ("qwen3-8b", "bf16", "vllm"),
        ("qwen3-8b", "bfloat16", "vllm"),  # as a plan has it
    ):
        came(need(model, quant, engine))
    assert asked == ["bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", *["Qwen/Qwen3-8B"] * 2]


def test_what_a_plan_calls_a_published_format_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.edges.hub.HubRepository", lambda repository, _: _Listed(repository))
    whole = ("bfloat16", "bf16", "float16", "fp32")
    own = {"mxfp4": ("mxfp4-safetensors",), "fp8": ("fp8",), None: whole}
    for record in catalog.model_records():
        alike = own[record.hub.published_as] if record.hub.published else ()
        for quant in alike:
            assert came(need(record.name, quant, "vllm")).repository == record.hub.published
        for quant in {"awq", "fp8", "bfloat16", "mxfp4-safetensors"}.difference(alike):
            with pytest.raises(BadInput, match="does not know"):
                came(need(record.name, quant, "vllm"))


def test_a_model_published_in_four_bits_comes_without_anything_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.edges.hub.HubRepository", lambda repository, _: _Listed(repository))
    (quant,) = find(Wanted("gpt-oss-20b", engine="vllm")).candidate.quants
    assert came(need("gpt-oss-20b", quant, "vllm")).repository == "openai/gpt-oss-20b"


class _Listed:
    """A repository with everything."""

    token, endpoint, commit = None, "http://127.0.0.1:9", "0" * 40

    def __init__(self, name: str) -> None:
        from labctl.edges.hub import HubFile

        self.name = name
        self.files = {each: HubFile(1, "0" * 64) for each in NAMES}
        self.sizes = dict.fromkeys(NAMES, 1)

    def url(self, file: str) -> str:
        return f"{self.endpoint}/{file}"


@pytest.mark.parametrize(
    ("model", "quant", "engine", "words"),
    [
        ("llama-3.1-8b", "awq", "vllm", "--from org/name"),
        ("llama-2-7b", "Q4_K_M", "llama.cpp", "--from org/name"),
        ("flux.1-dev", "fp8", "comfyui", "--from org/name"),
        ("lama-3.1-8b", "Q4_K_M", "llama.cpp", "did you mean llama-3.1-8b"),
    ],
)
def test_what_the_catalogue_does_not_know_is_said(model: str, quant: str, engine: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        came(need(model, quant, engine))
    assert words in str(refused.value.hint)


def test_another_source_may_be_named() -> None:
    found = came(need("mine", "bf16", "vllm"), REPOSITORY)
    assert (found.wanted.place, found.repository) == ("mine/bf16", REPOSITORY)


def test_an_address_wants_a_checksum() -> None:
    url, digest = "https://example.org/a/m.gguf?key=secret", "AB" * 32
    found = came(need("mine"), url, digest)
    [file] = found.wanted.files
    assert (file.url, file.sha256, file.path) == (url, digest.lower(), "mine-Q4_K_M.gguf")
    assert "secret" not in found.wanted.source
    assert found.token is None
    wrong = [(url, None), (url, "12"), ("https://me:pw@example.org/m.gguf", digest), (REPOSITORY, digest)]
    for said, sha256 in wrong:
        with pytest.raises(BadInput) as refused:
            came(need("mine"), said, sha256)
        assert "secret" not in str(refused.value)


def test_a_file_of_this_machine_is_sent(tmp_path: Path) -> None:
    lies = tmp_path / "m-00001-of-00002.gguf"
    lies.write_bytes(LARGE)
    with pytest.raises(BadInput):
        came(need("mine"), str(lies))
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(SMALL)
    found = came(need("mine"), str(lies))
    assert {name: path.name for name, path in found.sent.items()} == {
        "mine-Q4_K_M-00001-of-00002.gguf": "m-00001-of-00002.gguf",
        "mine-Q4_K_M-00002-of-00002.gguf": "m-00002-of-00002.gguf",
    }
    assert [(file.bytes, file.sha256) for file in found.wanted.files] == [
        (len(content), hashlib.sha256(content).hexdigest()) for content in (LARGE, SMALL)
    ]


def test_a_plan_s_own_path_is_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(LARGE)
    found = came(need("./mine.gguf"))
    assert (found.wanted.place, list(found.sent)) == ("mine.gguf", ["mine.gguf"])


def test_a_folder_of_this_machine_is_sent(tmp_path: Path) -> None:
    (tmp_path / "mine/sub").mkdir(parents=True)
    (tmp_path / "mine/.git").mkdir()
    for name in ("config.json", "sub/model.safetensors", ".git/HEAD"):
        (tmp_path / "mine" / name).write_bytes(SMALL)
    found = came(need("./mine", "bf16", "vllm"))
    assert sorted(found.sent) == ["config.json", "sub/model.safetensors"]
    assert found.wanted.folder
    with pytest.raises(BadInput):
        came(need("mine"), "./mine")
    with pytest.raises(BadInput):
        came(need("mine"), "./none")


def test_a_path_of_the_host_is_copied_there() -> None:
    def on_host(path: str) -> Mapping[str, int]:
        assert path == "/data/m.gguf"
        return {".": 7}

    found = origin(need("mine"), "host:/data/m.gguf", None, on_host)
    [file] = found.wanted.files
    assert (file.path, file.bytes, file.copied, found.sent) == ("mine-Q4_K_M.gguf", 7, "/data/m.gguf", {})
    with pytest.raises(BadInput):
        came(need("mine"), "host:/data/none.gguf")
