"""The client's side of a host's folder of models, on a simulated host."""

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.edges.model_store_program import start_command
from labctl.errors import BadInput, Failed
from labctl.model_store.progress import Status
from labctl.model_store.request import Request, WantedFile, WantedModel
from tests.labctl.edges.hub_server import TOKEN, Hub, serving
from tests.labctl.edges.simulated_model_host import SimulatedModelHost

CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SimulatedModelHost]:
    host = SimulatedModelHost(tmp_path)
    yield host
    host.shell.close()


def wanted(place: str = "a/b.gguf", **more: object) -> WantedModel:
    file = WantedFile("b.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    return WantedModel(place, "a test", (dataclasses.replace(file, **more),))  # type: ignore[arg-type]  # of WantedFile


def test_without_a_folder_there_is_nothing(box: SimulatedModelHost) -> None:
    found = box.models.listed()
    assert (found.path, found.free_bytes, found.models) == (str(box.folder), None, ())
    assert box.models.present(["a/b.gguf"]) == frozenset()
    assert not box.folder.exists()


def test_a_pull_runs_as_its_own_user_and_gets_the_token_by_standard_input_alone(
    box: SimulatedModelHost,
) -> None:
    with serving(Hub({"m": (CONTENT, len(CONTENT))})) as hub:
        request = Request(str(box.folder), (wanted(url=f"{hub.url}/files/m"),), TOKEN, hub.url)
        instance = box.models.start(request)
        seen: list[Status] = []
        [pulled] = box.models.follow(instance, seen.append)
    assert (pulled.outcome, pulled.error, box.content("a/b.gguf")) == ("pulled", None, CONTENT)
    assert seen[-1].place == "a/b.gguf"
    assert "useradd --system" in box.said
    assert "User=labctl-models" in box.said
    for path in [each for each in box.root.rglob("*") if each.is_file()]:
        assert TOKEN.encode() not in path.read_bytes(), path
    assert not list((box.root / "run/labctl/models").glob("*.json"))


def test_what_is_whole_is_present_and_a_half_is_not(box: SimulatedModelHost) -> None:
    split = "name-Q8_0-0000{}-of-00002.gguf"
    (box.folder / "a").mkdir(parents=True)
    for name in ("hand.gguf", f"a/{split.format(1)}", f"a/{split.format(2)}"):
        (box.folder / name).write_bytes(b"x")
    (box.folder / "half.gguf.part").mkdir()
    (box.folder / "half.gguf.part/half.gguf.part").write_bytes(b"x")
    paths = ["hand.gguf", "half.gguf", "none.gguf", "a/name-Q8_0.gguf"]
    assert box.models.present(paths) == {"hand.gguf", "a/name-Q8_0.gguf"}
    assert box.models.loaded_as({"chat": "hand.gguf", "big": "a/name-Q8_0.gguf", "no": "none.gguf"}) == {
        "big": f"a/{split.format(1)}"
    }
    (box.folder / "a" / split.format(2)).unlink()
    assert box.models.present(paths) == {"hand.gguf"}


def test_a_killed_pull_is_told_as_one(box: SimulatedModelHost) -> None:
    box.kill_pulls()
    instance = box.models.start(Request(str(box.folder), (wanted(),)))
    with pytest.raises(Failed) as told:
        box.models.follow(instance, lambda _: None)
    assert "before it was done" in str(told.value)


def test_what_is_sent_goes_on_where_it_was_and_is_verified(box: SimulatedModelHost, tmp_path: Path) -> None:
    local = tmp_path / "b.gguf"
    local.write_bytes(CONTENT)
    model, at = wanted(), list[int]()
    box.models.send(model, {"b.gguf": local}, at.append)
    part = box.folder / "a/b.gguf.part/b.gguf.part"
    assert (part.read_bytes(), at) == (CONTENT, [len(CONTENT)])
    part.write_bytes(CONTENT[:1000])
    box.models.send(model, {"b.gguf": local}, at.append)
    assert part.read_bytes() == CONTENT
    [pulled] = box.models.follow(box.models.start(Request(str(box.folder), (model,))), lambda _: None)
    assert (pulled.outcome, box.content("a/b.gguf")) == ("pulled", CONTENT)
    assert not (box.folder / "a/b.gguf.part").exists()


def test_of_another_file_nothing_is_gone_on_with(box: SimulatedModelHost, tmp_path: Path) -> None:
    old, new = tmp_path / "old.gguf", tmp_path / "new.gguf"
    old.write_bytes(bytes(len(CONTENT)))
    new.write_bytes(CONTENT)
    box.models.send(wanted(sha256="0" * 64), {"b.gguf": old}, lambda _: None)
    box.models.send(wanted(), {"b.gguf": new}, lambda _: None)
    assert (box.folder / "a/b.gguf.part/b.gguf.part").read_bytes() == CONTENT


def test_files_of_the_host_are_listed(box: SimulatedModelHost) -> None:
    top = box.root / "data"
    (top / "sub").mkdir(parents=True)
    for name in ("config.json", "sub/a b.safetensors", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"):
        (top / name).write_bytes(b"12")
    assert box.models.sizes(f"{top}/none") == {}
    assert set(box.models.sizes(str(top))) == {
        *("config.json", "sub/a b.safetensors", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    }
    assert box.models.sizes(f"{top}/m-00001-of-00002.gguf")["."] == 2
    assert box.models.sizes(f"{top}/m-00001-of-00002.gguf")["m-00002-of-00002.gguf"] == 2


def test_a_model_is_removed_by_its_place(box: SimulatedModelHost) -> None:
    (box.folder / "a").mkdir(parents=True)
    (box.folder / "a/b.gguf").write_bytes(CONTENT)
    assert [each.place for each in box.models.listed().models] == ["a/b.gguf"]
    assert box.models.remove("a/b.gguf").models == ()
    with pytest.raises(BadInput):
        box.models.remove("a/b.gguf")


def test_a_copy_on_the_host_has_no_network_and_a_download_reads_nobody_s_files() -> None:
    download, copy = start_command("x", "/srv/models"), start_command("x", "/srv/models", ("/home/me/a b",))
    assert "CapabilityBoundingSet= " in f"{download} "
    assert "CAP_DAC" not in download
    assert "PrivateNetwork=yes" in copy
    assert r"BindReadOnlyPaths=/home/me/a\ b" in copy
    for each in (download, copy):
        for property_ in ("ProtectSystem=strict", "NoNewPrivileges=yes", "User=labctl-models"):
            assert property_ in each
