"""The program on the host: how a pull ends, what lies there, and its removal."""

import io
import json
import threading
from pathlib import Path

import pytest

from labctl.errors import BAD_INPUT, DONE, FAILED, BadInput, Failed
from labctl.model_store import program
from labctl.model_store.fetching import Fetching
from labctl.model_store.lying import everything, remove
from labctl.model_store.progress import STATUS, Progress
from labctl.model_store.request import Request, parse
from labctl.model_store.store import Store
from tests.labctl.edges.hub_server import Hub
from tests.labctl.model_store.pulling import CONTENT, PLACE, Puller, file, model


def test_the_program_says_how_it_ended(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    request = Request(str(folder), (model(file(hub)),))
    assert program.pull(io.StringIO(request.text(with_token=True)), tmp_path) == DONE
    told = json.loads((tmp_path / "result.json").read_text())
    assert [(each["place"], each["outcome"]) for each in told["models"]] == [(PLACE, "pulled")]
    assert program.pull(io.StringIO("{}"), tmp_path) == BAD_INPUT
    assert "no request" in json.loads((tmp_path / "result.json").read_text())["error"]["message"]
    gone = Request(str(tmp_path / "none"), (model(file(hub)),))
    assert program.pull(io.StringIO(gone.text(with_token=True)), tmp_path) == FAILED


def test_a_second_pull_waits_for_the_first_and_finds_all_there(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    text = Request(str(folder), (model(file(hub)),)).text(with_token=True)
    told = tmp_path / "told"
    told.mkdir()
    with Store(folder).locked(None):
        second = threading.Thread(target=program.pull, args=(io.StringIO(text), told))
        second.start()
        while not (told / STATUS).exists():
            second.join(0.01)
        assert json.loads((told / STATUS).read_text())["note"] == "another pull is under way"
        with pytest.raises(Failed), Store(folder).locked(None):
            pass
        Fetching(parse(text), Progress(tmp_path, print)).run()
    second.join()
    told_at_last = json.loads((told / "result.json").read_text())
    assert told_at_last["models"][0]["outcome"] == "there"


def test_what_lies_there_is_told_and_can_be_removed(hub: Hub, pull: Puller) -> None:
    parts = [file(hub, f"a-0000{n}-of-00002.gguf", f"name-Q4_K_M-0000{n}-of-00002.gguf") for n in (1, 2)]
    pull(model(*parts))
    (pull.folder / "by/hand").mkdir(parents=True)
    (pull.folder / "by/hand/config.json").write_text("{}")
    (pull.folder / "by/hand/model.safetensors").write_bytes(b"1234")
    (pull.folder / "loose.gguf").write_bytes(b"12")
    (pull.folder / "left.gguf.part").mkdir()
    (pull.folder / "left.gguf.part/left.gguf.part").write_bytes(b"123")
    found = {each.place: (each.whole, each.bytes, each.have_bytes) for each in everything(pull.store)}
    assert found == {
        PLACE: (True, 2 * len(CONTENT), 2 * len(CONTENT)),
        "by/hand": (True, 6, 6),
        "loose.gguf": (True, 2, 2),
        "left.gguf": (False, None, 3),
    }
    for place in found:
        remove(pull.store, place)
    assert list(pull.folder.iterdir()) == []
    with pytest.raises(BadInput):
        remove(pull.store, "loose.gguf")


def test_nothing_outside_of_the_folder_is_removed(pull: Puller, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "m.gguf").write_bytes(b"1")
    (pull.folder / "link").symlink_to(outside)
    for place in ("link/m.gguf", "../outside/m.gguf"):
        with pytest.raises((BadInput, Failed)):
            remove(pull.store, place)
    assert (outside / "m.gguf").exists()
