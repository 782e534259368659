"""A pull against a simulated hub on loopback: whatever it does, what has its final name is whole and verified."""

import dataclasses
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import BAD_INPUT, DONE, FAILED, BadInput, Failed
from labctl.model_store import program
from labctl.model_store.fetching import Fetching, Result
from labctl.model_store.lying import everything, remove
from labctl.model_store.progress import STATUS, Progress
from labctl.model_store.request import Request, WantedFile, WantedModel, parse
from labctl.model_store.store import Record, Store
from tests.labctl.edges.hub_server import COMMIT, REPOSITORY, TOKEN, Hub, serving

CONTENT = bytes(range(256)) * 4 * 1024  # 1 MiB
OTHER = CONTENT[::-1]
PLACE = "org/name/name-Q4_K_M.gguf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {"m.gguf": CONTENT, "a-00001-of-00002.gguf": CONTENT, "a-00002-of-00002.gguf": OTHER}
    with serving(Hub({name: (content, len(content)) for name, content in files.items()})) as hub:
        yield hub


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(hub: Hub, name: str = "m.gguf", to: str = "name-Q4_K_M.gguf", *, sized: bool = True) -> WantedFile:
    content, size = hub.files[name]
    return WantedFile(to, size if sized else None, sha256(content), url=f"{hub.url}/files/{name}")


def model(*files: WantedFile, place: str = PLACE, folder: bool = False) -> WantedModel:
    return WantedModel(place, "the simulated hub", files, folder)


class Puller:
    """Pulls into one folder, as the program does. waited: seconds, never slept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder / "models", Store(folder / "models")
        self.folder.mkdir()
        self.told = folder / "told"
        self.told.mkdir()
        self.waited: list[float] = []
        self.lines: list[str] = []

    def __call__(self, *models: WantedModel, token: str | None = None, token_for: str = "") -> list[Result]:
        request = Request(str(self.folder), models, token, token_for or None)
        progress = Progress(self.told, self.lines.append)
        return Fetching(parse(request.text(with_token=True)), progress, self.waited.append).run()

    def content(self, path: str = PLACE) -> bytes | None:
        at = self.folder / path
        return at.read_bytes() if at.is_file() else None

    def whole(self) -> dict[str, bool]:
        return {each.place: each.whole for each in everything(self.store)}


@pytest.fixture
def pull(tmp_path: Path) -> Puller:
    return Puller(tmp_path)


def message(result: Result) -> str:
    assert result.error is not None
    return str(result.error["message"])


def test_a_file_comes_and_the_second_pull_asks_for_nothing(hub: Hub, pull: Puller) -> None:
    [result] = pull(model(file(hub)))
    assert (result.outcome, result.bytes, result.exit_code) == ("pulled", len(CONTENT), DONE)
    assert pull.content() == CONTENT
    assert [each.name for each in sorted(pull.folder.rglob("*")) if each.is_file()] == [
        "name-Q4_K_M.gguf",
        "name-Q4_K_M.gguf.labctl.json",
    ]
    asked = len(hub.requests)
    [result] = pull(model(file(hub)))
    assert (result.outcome, len(hub.requests)) == ("there", asked)


def test_a_folder_gets_its_name_when_all_of_it_is_there(hub: Hub, pull: Puller) -> None:
    wanted = [file(hub, "m.gguf", "sub/model.safetensors"), file(hub, "a-00001-of-00002.gguf", "config.json")]
    missing = dataclasses.replace(wanted[1], path="tokenizer.json", url=f"{hub.url}/files/none")
    [result] = pull(model(*wanted, missing, place="org/name/bf16", folder=True))
    assert result.exit_code == FAILED
    assert "HTTP 404" in str(result.error)
    assert not (pull.folder / "org/name/bf16").exists()
    assert pull.whole() == {"org/name/bf16": False}
    asked = len(hub.requests)
    [result] = pull(model(*wanted, place="org/name/bf16", folder=True))
    assert (result.outcome, len(hub.requests)) == ("pulled", asked)
    assert pull.content("org/name/bf16/sub/model.safetensors") == CONTENT
    assert pull.whole() == {"org/name/bf16": True}


def test_parts_of_a_split_file_are_loaded_by_the_first(hub: Hub, pull: Puller) -> None:
    names = ("a-00001-of-00002.gguf", "a-00002-of-00002.gguf")
    parts = [file(hub, name, f"name-Q4_K_M{name[1:]}") for name in names]
    pull(model(*parts))
    assert pull.store.loaded_as(PLACE) == "org/name/name-Q4_K_M-00001-of-00002.gguf"
    assert pull.content("org/name/name-Q4_K_M-00002-of-00002.gguf") == OTHER
    (pull.folder / "org/name/name-Q4_K_M-00002-of-00002.gguf").unlink()
    assert pull.store.loaded_as(PLACE) is None
    assert pull(model(*parts))[0].outcome == "pulled"
    assert [path.rsplit("/", 1)[-1] for path, _ in hub.requests] == [*names, names[1]]


@pytest.mark.parametrize("manner", ["cuts", "hangs up"])
def test_a_cut_connection_is_gone_on_with(hub: Hub, pull: Puller, manner: str) -> None:
    hub.manner, hub.cuts = manner, 3  # type: ignore[assignment]  # one of its manners
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT
    assert len(pull.waited) == 3
    if manner == "cuts":
        assert [asked for _, asked in hub.requests] == [
            None,
            "bytes=524288-",
            "bytes=786432-",
            "bytes=917504-",
        ]


def test_a_server_that_never_sends_all_leaves_what_came_for_the_next_pull(hub: Hub, pull: Puller) -> None:
    hub.manner = "hangs up"
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir(parents=True)
    pull.store.keep(_record(hub))
    part.write_bytes(CONTENT[:1000])
    [result] = pull(model(file(hub)))
    assert (result.outcome, result.exit_code, message(result)) == (
        "failed",
        FAILED,
        "the connection breaks again and again",
    )
    assert (part.stat().st_size, pull.content()) == (1000, None)
    hub.manner = "ranges"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert hub.requests[-1][1] == "bytes=1000-"


def _record(hub: Hub) -> Record:
    return Record(PLACE, "the simulated hub", folder=False, files=(file(hub),))


def test_a_server_without_ranges_gets_further_each_time(hub: Hub, pull: Puller) -> None:
    pull.store.keep(_record(hub))
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:700_000])
    hub.manner = "ignores ranges"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT


def test_a_server_that_sends_another_part_is_asked_for_all(hub: Hub, pull: Puller) -> None:
    pull.store.keep(_record(hub))
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:700_000])
    hub.manner = "wrong range"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert hub.requests[-1][1] is None


def test_a_part_that_a_power_cut_damaged_is_fetched_once_more(hub: Hub, pull: Puller) -> None:
    pull.store.keep(_record(hub))
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir()
    part.write_bytes(bytes(700_000))
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT
    assert any(line.startswith("again:") for line in pull.lines)


def test_other_bytes_than_the_checksum_s_never_get_the_name(hub: Hub, pull: Puller) -> None:
    hub.manner = "damages"
    [result] = pull(model(file(hub)))
    assert (result.exit_code, message(result)) == (FAILED, "the file is not what it should be: other SHA-256")
    assert result.error is not None
    assert result.error["expected"] == sha256(CONTENT)
    assert pull.content() is None
    assert not list(pull.folder.rglob("*.gguf.part/*"))
    assert pull.whole() == {PLACE: False}


def test_a_small_file_is_held_against_git_s_hash(hub: Hub, pull: Puller) -> None:
    oid = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
    small = dataclasses.replace(file(hub), sha256=None, git_oid=oid)
    assert pull(model(small))[0].outcome == "pulled"
    wrong = dataclasses.replace(small, git_oid="0" * 40)
    assert "git's hash" in message(pull(model(wrong, place="b.gguf"))[0])


def test_of_a_size_that_nobody_says_all_is_taken_and_resumed(hub: Hub, pull: Puller) -> None:
    hub.manner = "keeps quiet"
    assert pull(model(file(hub, sized=False)))[0].bytes == len(CONTENT)
    part = pull.store.staging("b.gguf") / "b.gguf.part"
    wanted = model(file(hub, to="b.gguf", sized=False), place="b.gguf")
    pull.store.keep(dataclasses.replace(_record(hub), place="b.gguf", files=wanted.files))
    part.parent.mkdir()
    part.write_bytes(CONTENT)  # cut off after the last byte: the server has nothing more to send
    assert pull(wanted)[0].outcome == "pulled"
    assert pull.content("b.gguf") == CONTENT


@pytest.mark.parametrize(("status", "waits"), [(429, [7.0, 7.0]), (503, [7.0, 7.0])])
def test_a_busy_server_is_waited_for_as_long_as_it_says(
    hub: Hub, pull: Puller, status: int, waits: list[float]
) -> None:
    hub.busy, hub.busy_status, hub.retry_after = 2, status, "7"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.waited == waits


def test_nobody_waits_for_an_hour(hub: Hub, pull: Puller) -> None:
    hub.busy, hub.retry_after = 99, "3600"
    [result] = pull(model(file(hub)))
    assert (result.outcome, pull.waited) == ("failed", [])
    assert result.answer == {"status": 429, "headers": {"Retry-After": "3600"}}


def test_a_server_that_is_not_there_is_tried_some_times(pull: Puller) -> None:
    gone = WantedFile("m.gguf", 1, "0" * 64, url="http://127.0.0.1:9/m.gguf")
    [result] = pull(model(gone))
    assert message(result) == "the server cannot be reached"
    assert pull.waited == [1, 2, 4, 8, 16]


def test_a_gated_file_wants_the_token_and_only_its_own_server_gets_it(hub: Hub, pull: Puller) -> None:
    hub.manner, hub.redirected = "gated", True
    wanted = dataclasses.replace(file(hub), url=f"{hub.url}/{REPOSITORY}/resolve/{COMMIT}/m.gguf")
    [result] = pull(model(wanted))
    assert result.answer == {"status": 401, "headers": {"X-Error-Code": "GatedRepo"}}
    [result] = pull(model(wanted), token=TOKEN, token_for="http://127.0.0.1:9")
    assert result.outcome == "failed"
    [result] = pull(model(wanted), token=TOKEN, token_for=hub.url)
    assert (result.outcome, hub.tokens_elsewhere) == ("pulled", [])
    kept = "".join(path.read_text() for path in pull.folder.rglob("*.json"))
    assert TOKEN not in kept + "".join(pull.lines) + (pull.told / STATUS).read_text()


def test_room_is_looked_for_before_the_first_byte(
    hub: Hub, pull: Puller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "free_bytes", lambda _: len(CONTENT) - 1)
    [result] = pull(model(file(hub)))
    assert (message(result), result.exit_code, hub.requests) == ("there is not enough room", FAILED, [])
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.write_bytes(CONTENT[:1000])  # what is there already needs no room
    assert pull(model(file(hub)))[0].outcome == "pulled"


def test_a_disk_that_fills_up_meanwhile_stops_it(hub: Hub, pull: Puller) -> None:
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    [result] = pull(model(file(hub)))
    assert (message(result), result.exit_code) == ("the disk is full", FAILED)
    assert pull.content() is None
    part.unlink()
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT


def test_what_was_sent_is_verified_and_another_file_s_is_not_gone_on_with(hub: Hub, pull: Puller) -> None:
    sent = dataclasses.replace(file(hub), url=None)
    assert message(pull(model(sent))[0]) == "nothing was sent"
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.write_bytes(OTHER)
    (part.parent / f"{part.name}.of").write_text(sha256(CONTENT))
    assert "other SHA-256" in message(pull(model(sent))[0])
    part.write_bytes(CONTENT)
    assert pull(model(sent))[0].outcome == "pulled"
    assert pull.content() == CONTENT


def test_what_came_of_another_file_is_thrown_away(hub: Hub, pull: Puller) -> None:
    pull.store.keep(_record(hub))
    part = pull.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    wanted = file(hub, "a-00002-of-00002.gguf")
    assert pull(model(wanted))[0].outcome == "pulled"
    assert (pull.content(), hub.requests[-1][1]) == (OTHER, None)


def test_a_file_of_the_host_is_copied(pull: Puller, tmp_path: Path) -> None:
    lies = tmp_path / "mine.gguf"
    lies.write_bytes(CONTENT)
    copied = WantedFile("name-Q4_K_M.gguf", len(CONTENT), copied=str(lies))
    assert pull(model(copied))[0].outcome == "pulled"
    assert pull.content() == CONTENT
    record = pull.store.record(PLACE)
    assert record is not None
    assert record.files[0].sha256 == sha256(CONTENT)
    assert pull(model(copied))[0].outcome == "there"


def test_a_whole_model_is_never_overwritten(hub: Hub, pull: Puller) -> None:
    pull(model(file(hub)))
    [result] = pull(model(file(hub, "a-00002-of-00002.gguf")))
    assert message(result) == "another file lies there"
    assert pull.content() == CONTENT
    (pull.folder / "hand.gguf").write_bytes(b"mine")
    [result] = pull(model(file(hub, to="hand.gguf"), place="hand.gguf"))
    assert (result.outcome, pull.content("hand.gguf")) == ("there", b"mine")


def test_one_that_fails_does_not_stop_the_others(hub: Hub, pull: Puller) -> None:
    gone = dataclasses.replace(file(hub), path="b.gguf", url=f"{hub.url}/files/none")
    results = pull(model(gone, place="b.gguf"), model(file(hub)))
    assert [each.outcome for each in results] == ["failed", "pulled"]


def test_a_folder_that_belongs_to_somebody_else_is_told(hub: Hub, pull: Puller) -> None:
    (pull.folder / "org").write_text("a file in the way")
    assert message(pull(model(file(hub)))[0]) == "the disk does not do it"


@pytest.mark.parametrize(
    "place", ["../a.gguf", "/a.gguf", "a/../b.gguf", "a//b.gguf", "./a.gguf", "a.part", "a.labctl.json", ""]
)
def test_a_place_stays_in_the_folder(hub: Hub, pull: Puller, place: str) -> None:
    with pytest.raises(BadInput):
        pull(model(file(hub), place=place))
    with pytest.raises(BadInput):
        pull(model(dataclasses.replace(file(hub), path=place)))


def test_addresses_that_are_none_of_the_web_are_refused(pull: Puller) -> None:
    with pytest.raises(BadInput):
        pull(model(WantedFile("a.gguf", 1, "0" * 64, url="file:///etc/shadow")))


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
