"""A pull against a simulated hub: what comes is verified before it gets its name, and nothing is done twice."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from labctl.errors import DONE, FAILED, BadInput
from labctl.model_store.request import WantedFile
from labctl.model_store.store import Store
from tests.labctl.edges.hub_server import Hub
from tests.labctl.model_store.pulling import (
    CONTENT,
    OTHER,
    PLACE,
    Puller,
    file,
    message,
    model,
    sha256,
)


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
    pull.leave(hub, CONTENT[:1000])
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
