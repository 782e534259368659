"""Models of the hub, from a server on loopback: what is read, how little of it, and how failures are told."""

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from labctl.edges.hub import HubRepository
from labctl.edges.hub_ranges import Budget
from labctl.edges.model_reader import read_model
from labctl.edges.model_repository import ReadModel, read_repository
from labctl.errors import BadInput, Failed, LabctlError
from tests.labctl.edges.hub_server import COMMIT, REPOSITORY, TOKEN, Hub, serving
from tests.labctl.edges.test_model_reader import CONFIG, projector
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import Header, header_bytes

TOKENS = [f"token{number}" for number in range(60_000)]
SMALL = SHAPES["llama-3.2-1b"]()
LLAMA = Header("llama", {"tokenizer.ggml.tokens": TOKENS, **SMALL.metadata}, SMALL.tensors)
MIB = 1024**2


def gguf(header: Header = LLAMA, holes: int = 0) -> tuple[bytes, int]:
    head, data = header_bytes(header)
    return head, len(head) + data + holes


FILES = {
    "README.md": (b"# model", 7),
    "m-Q4_K_M.gguf": gguf(),
    "m-Q8_0.gguf": gguf(holes=40 * 1000**3),
    "UD-Q2_K_XL/m-UD-Q2_K_XL-00001-of-00002.gguf": gguf(
        Header("llama", {**SMALL.metadata, "split.no": 0, "split.count": 2}, {})
    ),
    "UD-Q2_K_XL/m-UD-Q2_K_XL-00002-of-00002.gguf": gguf(
        Header("llama", {"split.no": 1, "split.count": 2}, SMALL.tensors)
    ),
    "mmproj-F16.gguf": gguf(projector(2048)),
}


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")


@contextmanager
def hub(
    monkeypatch: pytest.MonkeyPatch, files: Mapping[str, tuple[bytes, int]] = FILES, **manners: Any
) -> Iterator[Hub]:
    with serving(Hub(files, **manners)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def read(quant: str | None = None, file: str | None = None) -> tuple[ReadModel, list[float]]:
    """The repository, without waiting; and the seconds that would have been waited."""
    waited: list[float] = []
    return read_repository(HubRepository(REPOSITORY, wait=waited.append), quant, file), waited


def failing(quant: str | None = "Q4_K_M") -> tuple[LabctlError, list[float]]:
    waited: list[float] = []
    with pytest.raises((BadInput, Failed)) as caught:
        read_repository(HubRepository(REPOSITORY, wait=waited.append), quant)
    assert caught.value.where
    assert caught.value.hint
    return caught.value, waited


def test_a_repository_offers_its_quantizations(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch) as server:
        found = read_model(REPOSITORY)
    sizes = {name: size for name, (_, size) in FILES.items()}
    assert found.chosen
    assert found.where == f"{REPOSITORY}/m-Q4_K_M.gguf"
    assert found.choices == {
        "Q4_K_M": sizes["m-Q4_K_M.gguf"],
        "Q8_0": sizes["m-Q8_0.gguf"],
        "UD-Q2_K_XL": sum(size for name, size in sizes.items() if "Q2_K" in name),
    }
    assert (found.model.n_layers, found.model.vocab) == (16, 128256)
    assert [each.kind for each in found.companions] == ["mmproj"]
    assert server.requests[0][0] == f"/api/models/{REPOSITORY}"
    assert all(path.split("/")[4] == COMMIT for path, _ in server.requests[1:])
    assert all(asked and asked.startswith("bytes=") for _, asked in server.requests[1:])


@pytest.mark.parametrize(
    ("text", "n_files"),
    [
        (f"{REPOSITORY}:q8_0", 1),
        (f"{REPOSITORY}:Q2_K_XL", 2),
        (f"{REPOSITORY}/m-Q8_0.gguf", 1),
        (f"{REPOSITORY}/UD-Q2_K_XL/m-UD-Q2_K_XL-00002-of-00002.gguf", 2),
        (f"hf.co/{REPOSITORY}:Q8_0", 1),
        (f"https://huggingface.co/{REPOSITORY}/blob/main/m-Q8_0.gguf", 1),
        (f"https://huggingface.co/{REPOSITORY}/tree/main", 1),
    ],
)
def test_one_can_be_named(text: str, n_files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch):
        found = read_model(text)
    assert (found.model.n_files, found.model.n_layers) == (n_files, 16)


def test_only_the_header_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch) as server:
        found, _ = read("Q8_0")
    header = len(FILES["m-Q8_0.gguf"][0])
    assert found.model.file_bytes > 40 * 1000**3
    assert server.sent < 2 * header + MIB
    assert len([asked for _, asked in server.requests if asked]) <= 6


def test_a_server_that_ignores_ranges_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch, manner="ignores ranges") as server:
        found, _ = read("Q8_0")
    assert found.model.n_layers == 16
    # What is still in the sockets' buffers was sent, but not read.
    assert server.sent < 64 * MIB


def test_reading_has_an_end_whatever_the_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q4sIIQ", 4, b"a.bc", 9, 8, 2**20)
    with hub(monkeypatch, files={"m-Q4_K_M.gguf": (endless, 10**12)}) as server:
        monkeypatch.setattr("labctl.edges.hub.Budget", lambda: Budget(2 * MIB))
        said, _ = failing()
    assert "more reading than headers" in said.message
    assert server.sent < 16 * MIB


def test_a_cut_connection_is_taken_up_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch, manner="cuts", files={"m-Q4_K_M.gguf": gguf(SMALL)}) as server:
        said, waited = failing()
    assert said.exit_code == 1
    assert waited == [1.0, 2.0]
    ranges = [asked.removeprefix("bytes=").split("-") for _, asked in server.requests if asked]
    assert [int(first) for first, _ in ranges] == sorted({int(first) for first, _ in ranges})
    assert len({last for _, last in ranges}) == 1


def test_a_connection_cut_once_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch, manner="cuts", cuts=1):
        found, waited = read("Q4_K_M")
    assert found.model.n_layers == 16
    assert waited == [1.0]


@pytest.mark.parametrize(
    ("manners", "exit_code", "says"),
    [
        ({"manner": "hangs up"}, 1, "cannot be reached"),
        ({"manner": "wrong range"}, 1, "another part"),
        ({"manner": "gated"}, 2, "gated"),
        ({"busy": 99, "busy_status": 503}, 1, "HTTP 503"),
        ({"busy": 99}, 1, "fewer requests"),
        ({"busy": 1, "retry_after": "3600"}, 1, "in 3600 s"),
        ({"busy": 99, "retry_after": "Fri, 21 Nov 2031 07:28:00 GMT"}, 1, "later"),
        ({"listing": b"<html>"}, 1, "not what it should be"),
        ({"listing": b"[]"}, 1, "not what it should be"),
        ({"listing": b'{"id": "a/b", "siblings": [{"x": 1}]}'}, 1, "not what it should be"),
        ({"listing": b'{"id": "a/b"}'}, 2, "no GGUF"),
        ({"files": {"m-Q4_K_M.gguf": (b"<html>", 4096)}}, 2, "not a GGUF"),
        ({"files": {"m-Q4_K_M.gguf": (gguf()[0], 10 * MIB)}}, 2, "shorter than its tensors"),
        ({"files": {"m-Q4_K_M.gguf": (b"", 0)}}, 2, "ends within its header"),
    ],
)
def test_a_failure_says_what_to_do(
    manners: dict[str, Any], exit_code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(monkeypatch, **manners):
        said, waited = failing()
    assert said.exit_code == exit_code
    assert says in str(said)
    assert sum(waited) < 30
    assert "\n" not in str(said)


def test_a_busy_hub_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub(monkeypatch, busy=2, retry_after="7"):
        found, waited = read("Q4_K_M")
    assert found.model.n_layers == 16
    assert waited == [7.0, 7.0]


def test_a_token_opens_a_gated_repository_and_stays_with_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub(monkeypatch, manner="gated", redirected=True) as server:
        found, _ = read("Q4_K_M")
    assert found.model.n_layers == 16
    assert len([path for path, asked in server.requests if asked]) > 2
    assert server.tokens_elsewhere == []


@pytest.mark.parametrize(
    ("text", "revision", "says"),
    [
        ("someone/else", None, "no such repository, or it is private"),
        (REPOSITORY, "v2", "no such revision"),
        (f"{REPOSITORY}:Q3_K_S", None, "Q4_K_M, Q8_0"),
        (f"{REPOSITORY}/m-Q3_K_S.gguf", None, "m-Q4_K_M.gguf (0.7 GB)"),
        ("-bad-/..name", None, "no name of a repository"),
    ],
)
def test_what_the_hub_has_not_is_bad_input(
    text: str, revision: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub(monkeypatch), pytest.raises(BadInput) as caught:
        read_model(text, revision=revision)
    assert says in str(caught.value)


def test_offline_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        said, waited = failing()
    assert (said.exit_code, waited) == (1, [])
    assert "cannot be reached" in said.message
    assert "download the file" in str(said.hint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said, waited = failing()
    assert (said.exit_code, waited) == (1, [])
    assert "HF_HUB_OFFLINE" in said.message


@pytest.mark.parametrize("endpoint", ["nonsense", "http://[", "ftp://127.0.0.1"])
def test_an_endpoint_without_sense_is_said(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    said, _ = failing()
    assert said.exit_code == 1


def test_safetensors_are_read_by_their_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    shards = [f"model-{number:05}-of-00020.safetensors" for number in range(1, 21)]
    n_bytes = 5 * 1000**3
    table = {"dtype": "BF16", "shape": [n_bytes // 2], "data_offsets": [0, n_bytes]}
    files: dict[str, tuple[bytes, int]] = {"config.json": _whole(CONFIG)}
    for shard in shards:
        head = json.dumps({shard: table}).encode()
        files[shard] = struct.pack("<Q", len(head)) + head, 8 + len(head) + n_bytes
    files["model.safetensors.index.json"] = _whole({"weight_map": {shard: shard for shard in shards}})
    with hub(monkeypatch, files=files) as server:
        found = read_model(REPOSITORY)
    assert (found.model.n_files, found.model.file_bytes) == (20, 100 * 1000**3)
    assert (found.model.name, found.where, found.choices) == (REPOSITORY, REPOSITORY, {})
    assert [tensor.name for tensor in found.model.tensors] == shards
    assert server.sent < 20 * 256 * 1024


def _whole(document: object) -> tuple[bytes, int]:
    content = json.dumps(document).encode()
    return content, len(content)


def test_nothing_of_the_hub_is_imported_for_a_file() -> None:
    program = "import sys, labctl.edges.model_reader; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
