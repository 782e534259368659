"""What a transaction does on a simulated host, step by step: and above all, what it leaves alone."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.transaction import images, lock
from labctl.transaction.manifest import Image, Port, bound
from labctl.transaction.programs import Done
from labctl.transaction.report import RESULT
from tests.labctl.transaction.simulated_host import CARD, IMAGE, NEVER_HEALTHY, SimulatedHost, manifest

TWO = {"chat": "1", "search": "1"}


@pytest.fixture
def host(tmp_path: Path) -> SimulatedHost:
    made = SimulatedHost(tmp_path, images={IMAGE}, free_mib={CARD: 24000})
    assert made.transact(made.stage(manifest(TWO))) == 0, made.lines
    made.started.clear()
    return made


def result(host: SimulatedHost) -> dict[str, Any]:
    """The last line."""
    assert host.lines[-1].startswith(RESULT)
    return dict(json.loads(host.lines[-1].removeprefix(RESULT)))


def is_untouched(host: SimulatedHost, units: dict[str, str] = TWO) -> bool:
    return (host.started, host.stopped, host.units_on_disk(), host.running) == ([], [], units, units)


def test_the_same_stage_again_touches_nothing(host: SimulatedHost) -> None:
    assert host.transact(host.stage(manifest(TWO))) == 0
    assert is_untouched(host)
    assert (result(host)["outcome"], result(host)["generation"]) == ("unchanged", 1)


def test_another_plan_with_the_same_units_is_a_generation_and_touches_no_unit(host: SimulatedHost) -> None:
    assert host.transact(host.stage(manifest(TWO, plan='{"reason": "another"}'))) == 0
    assert is_untouched(host)
    assert (result(host)["outcome"], result(host)["generation"]) == ("done", 2)


def test_what_changed_starts_anew_and_nothing_else(host: SimulatedHost) -> None:
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}))) == 0
    assert (host.stopped, host.started, host.running) == (["chat"], ["chat"], {"chat": "2", "search": "1"})


def test_what_a_person_stopped_is_started(host: SimulatedHost) -> None:
    del host.running["chat"]
    assert host.transact(host.stage(manifest(TWO))) == 0
    assert (host.started, result(host)["generation"]) == (["chat"], 1)


def test_units_start_after_those_they_need(host: SimulatedHost) -> None:
    three = {"app": "2", "db": "2", "cache": "2"}
    assert host.transact(host.stage(manifest(three, after={"app": ("db", "cache")}))) == 0
    assert host.started[-1] == "app"
    assert set(host.stopped) == set(TWO)


@pytest.mark.parametrize("ends", ["1", NEVER_HEALTHY])
def test_what_a_job_brings_back_when_it_stops_is_stopped_again(host: SimulatedHost, ends: str) -> None:
    assert host.transact(host.stage(manifest({**TWO, "tune": "1", "z-tune": "1"}))) == 0
    # One steps aside for the other, and chat for that one.
    host.brings_back = {"z-tune": "tune", "tune": "chat"}
    del host.running["chat"], host.running["tune"]
    host.started.clear()
    assert host.transact(host.stage(manifest({"chat": "2", "search": ends}))) == (ends != "1")
    if ends == "1":
        assert host.running == {"chat": "2", "search": "1"}
    else:
        assert host.units_on_disk() == {**TWO, "tune": "1", "z-tune": "1"}
        assert host.running.items() <= host.units_on_disk().items()


def test_one_that_comes_back_for_ever_is_named(host: SimulatedHost) -> None:
    host.brings_back = {"chat": "chat"}
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}))) == 1
    assert result(host)["error"]["where"] == "chat.service"
    assert host.running == TWO


def test_an_edit_by_hand_is_named_kept_and_overwritten(host: SimulatedHost) -> None:
    edited = host.layout.installed("units/chat.container")
    edited.write_text("by hand")
    assert host.transact(host.stage(manifest(TWO))) == 0
    said = result(host)
    assert (said["edited"], said["changed"]) == (["units/chat.container"], ["chat.service"])
    assert (Path(said["kept"]) / "units/chat.container").read_text() == "by hand"
    assert (host.started, host.units_on_disk()) == (["chat"], TWO)


def test_an_edit_by_hand_to_what_is_wanted_starts_anew(host: SimulatedHost) -> None:
    host.layout.installed("units/chat.container").write_text("2")  # whoever did it may not have restarted it
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}))) == 0
    assert (host.running, result(host)["edited"]) == ({**TWO, "chat": "2"}, ["units/chat.container"])


def test_a_file_of_somebody_else_is_named_and_left(host: SimulatedHost) -> None:
    host.layout.installed("units/mine.container").write_text("mine")
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}))) == 0
    assert result(host)["foreign"] == ["units/mine.container"]
    assert host.units_on_disk()["mine"] == "mine"


def test_one_that_never_gets_healthy_leaves_what_was(host: SimulatedHost) -> None:
    host.journal = "it said: hunter2-the-secret\n"
    host.secrets = json.dumps([{"SecretData": "hunter2-the-secret"}])
    assert host.transact(host.stage(manifest({**TWO, "chat": NEVER_HEALTHY}))) == 1
    assert (host.units_on_disk(), host.running) == (TWO, TWO)
    said = result(host)
    assert (said["outcome"], said["generation"], said["not_back"]) == ("rolled back", 1, [])
    assert said["error"]["where"] == "chat"
    assert said["log"] == ["it said: *MASKED*"]
    assert "search" not in host.started + host.stopped
    assert json.loads(host.layout.result.read_text())["outcome"] == "rolled back"


def test_a_log_is_not_shown_when_the_secrets_cannot_be_told(host: SimulatedHost) -> None:
    host.journal, host.secrets = "it said: hunter2-the-secret\n", "no JSON"
    assert host.transact(host.stage(manifest({**TWO, "chat": NEVER_HEALTHY}))) == 1
    assert "hunter2" not in "\n".join(host.lines)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("Error: reading manifest x: manifest unknown", "no such tag"),
        ("Error: writing blob: no space left on device", "make room"),
        ("Error: pinging container registry: connection refused", "reachable"),
    ],
)
def test_an_image_that_cannot_be_pulled_touches_nothing(host: SimulatedHost, said: str, hint: str) -> None:
    host.pullable["registry.example/new:2"] = Done(125, "", said)
    made = manifest({**TWO, "chat": "2"}, images=[Image("registry.example/new:2")])
    assert host.transact(host.stage(made)) == 1
    assert is_untouched(host)
    assert result(host)["outcome"] == "refused"
    assert hint in result(host)["error"]["hint"]


@pytest.mark.parametrize("status", [124, 125, -9])
def test_a_podman_that_does_not_answer_is_not_a_missing_image(host: SimulatedHost, status: int) -> None:
    host.no_podman = Done(status, "", "podman did not end within 120 s")
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, images=[Image(IMAGE)]))) == 1
    assert is_untouched(host)
    error = result(host)["error"]
    assert (error["message"], error["where"]) == ("Podman does not answer", f"podman image exists {IMAGE}")
    assert error["found"] == "podman did not end within 120 s"


def test_an_image_whose_name_is_where_it_comes_from_is_fetched(host: SimulatedHost) -> None:
    archive = "oci-archive:/srv/new.tar"
    host.no_podman = Done(125, "", 'Error: unsupported transport "oci-archive" for looking up local images')
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, images=[Image(archive)]))) == 1
    assert "cannot be pulled" in result(host)["error"]["message"]
    host.pullable[archive] = Done(0, "", "")
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, images=[Image(archive)]))) == 0


def test_images_that_the_disk_has_no_room_for_are_not_begun(host: SimulatedHost) -> None:
    made = manifest({**TWO, "chat": "2"}, images=[Image("registry.example/new:2", download_mib=10**9)])
    assert host.transact(host.stage(made)) == 1
    assert is_untouched(host)
    assert "no room" in result(host)["error"]["message"]


def test_an_image_of_no_known_size_leaves_others_their_room(
    host: SimulatedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = manifest({**TWO, "chat": "2"}, images=[Image("registry.example/new:2")])
    host.pullable["registry.example/new:2"] = Done(0, "", "")
    monkeypatch.setattr(images, "_free_mib", lambda _folder: 40)
    assert host.transact(host.stage(made)) == 1
    assert is_untouched(host)
    assert (result(host)["error"]["message"], host.images) == ("no room for the images", {IMAGE})
    free = iter((10**6, 10**6, 40))
    monkeypatch.setattr(images, "_free_mib", lambda _folder: next(free, 40))
    assert host.transact(host.stage(made)) == 1
    assert is_untouched(host)
    assert (result(host)["error"]["message"], host.images) == ("no room for the image", {IMAGE})


def test_a_unit_that_quadlet_does_not_take_touches_nothing(host: SimulatedHost) -> None:
    assert host.transact(host.stage(manifest({**TWO, "chat": "Foo=bar"}))) == 2
    assert is_untouched(host)
    assert "Foo" in result(host)["error"]["found"]


def test_a_damaged_stage_touches_nothing(host: SimulatedHost) -> None:
    name = host.stage(manifest({**TWO, "chat": "2"}))
    (host.layout.stages / name / "units/chat.container").write_text("3")
    assert host.transact(name) == 1
    assert is_untouched(host)
    assert result(host)["error"]["message"] == "the stage is damaged"


def test_a_card_that_vanished_touches_nothing(host: SimulatedHost) -> None:
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, gpus={"chat": {"GPU-9": 1000}}))) == 3
    assert is_untouched(host)
    assert result(host)["error"]["where"] == "GPU-9"


def test_a_card_that_is_lost_keeps_nobody_from_the_others(host: SimulatedHost) -> None:
    host.free_mib["GPU-9"], host.lost_card = 24000, "GPU-9"
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, gpus={"chat": {CARD: 1000}}))) == 0
    assert host.transact(host.stage(manifest({**TWO, "chat": "3"}, gpus={"chat": {"GPU-9": 1000}}))) == 3


def test_models_swap_on_a_full_card(host: SimulatedHost) -> None:
    first = manifest({"big": "1"}, gpus={"big": {CARD: 20000}})
    assert host.transact(host.stage(first)) == 0
    host.held_mib = {"big": 20000, "other": 20000}
    assert host.transact(host.stage(manifest({"other": "1"}, gpus={"other": {CARD: 20000}}))) == 0
    assert host.running == {"other": "1"}


def test_memory_that_is_not_given_back_ends_on_what_was(host: SimulatedHost) -> None:
    host.free_mib = {CARD: 9000}
    assert host.transact(host.stage(manifest({**TWO, "chat": "2"}, gpus={"chat": {CARD: 20000}}))) == 1
    assert (host.units_on_disk(), host.running) == (TWO, TWO)
    assert "python3 (process 4711, 9000 MiB)" in result(host)["error"]["found"]


def test_a_port_that_is_taken_touches_nothing(host: SimulatedHost) -> None:
    made, contents = manifest({**TWO, "chat": "2"})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = Port("127.0.0.1", other.getsockname()[1])
        chat, search = made.units
        taken = replace(made, units=(replace(chat, ports=(port,)), search))
        assert host.transact(host.stage((taken, contents))) == 3
    assert is_untouched(host)
    assert f"{port.port}/tcp" in result(host)["error"]["message"]


def test_a_version_whose_data_cannot_go_back_is_left_to_update(host: SimulatedHost) -> None:
    def of(image: str, *updates: str) -> Any:
        made, contents = manifest({"cloud": image})
        unit = replace(made.units[0], image=image, migrates=True)
        return replace(made, units=(unit,), updates=updates), contents

    assert host.transact(host.stage(of("cloud:31"))) == 0
    assert host.transact(host.stage(of("cloud:32"))) == 3
    assert "labctl update" in result(host)["error"]["hint"]
    assert host.running == {"cloud": "cloud:31"}
    assert host.transact(host.stage(of("cloud:32", "cloud.service"))) == 0
    assert host.running == {"cloud": "cloud:32"}


def test_a_version_whose_data_cannot_go_back_is_left_to_update_also_when_it_was_away(
    host: SimulatedHost,
) -> None:
    def of(image: str, away: int = 0) -> Any:
        made, contents = manifest({"chat": str(away)} if away else {"cloud": image})
        units = () if away else (replace(made.units[0], image=image, migrates=True),)
        return replace(made, units=units or made.units), contents

    assert host.transact(host.stage(of("cloud:31"))) == 0
    for number in range(1, 9):  # until no generation is kept that knew it
        assert host.transact(host.stage(of("", away=number))) == 0
    assert host.transact(host.stage(of("cloud:32"))) == 3
    assert result(host)["error"]["expected"].startswith("cloud:31")
    assert host.running == {"chat": "8"}
    assert host.transact(host.stage(of("cloud:31"))) == 0


def test_what_does_not_move_by_itself_any_more_is_left_alone(host: SimulatedHost) -> None:
    def of(image: str, *, migrates: bool) -> Any:
        made, contents = manifest({"cloud": image})
        return replace(made, units=(replace(made.units[0], image=image, migrates=migrates),)), contents

    assert host.transact(host.stage(of("cloud:31", migrates=True))) == 0
    assert host.transact(host.stage(of("cloud:32", migrates=False))) == 0
    assert host.transact(host.stage(of("cloud:33", migrates=True))) == 3
    assert result(host)["error"]["expected"].startswith("cloud:31")


def test_a_version_that_never_came_up_binds_nobody(host: SimulatedHost) -> None:
    made, contents = manifest({**TWO, "cloud": NEVER_HEALTHY})
    cloud = replace(made.units[-1], image="cloud:32", migrates=True)
    assert host.transact(host.stage((replace(made, units=(*made.units[:-1], cloud)), contents))) == 1
    made, contents = manifest({**TWO, "cloud": "31"})
    older = replace(made.units[-1], image="cloud:31", migrates=True)
    assert host.transact(host.stage((replace(made, units=(*made.units[:-1], older)), contents))) == 0


def test_a_second_transaction_says_who_is_at_it(host: SimulatedHost) -> None:
    with lock.held(host.layout.lock, "transaction of somebody, process 1"):
        assert host.transact(host.stage(manifest({**TWO, "chat": "2"}))) == 1
    assert is_untouched(host)
    assert result(host)["error"]["found"] == "transaction of somebody, process 1"
    assert json.loads(host.layout.result.read_text())["generation"] == 1


def test_rollback_goes_to_the_one_before_and_to_any(host: SimulatedHost) -> None:
    for text in ("2", "3"):
        assert host.transact(host.stage(manifest({**TWO, "chat": text}))) == 0
    assert host.transact("previous") == 0
    assert (host.running["chat"], result(host)["generation"]) == ("2", 2)
    assert host.transact("previous") == 0
    assert (host.running["chat"], result(host)["generation"]) == ("1", 1)
    assert host.transact("generation-3") == 0
    assert host.running["chat"] == "3"
    assert host.transact("generation-9") == 2
    assert result(host)["error"]["expected"] == "1, 2, 3"


def test_what_was_compared_with_another_generation_touches_nothing(host: SimulatedHost) -> None:
    stage = host.stage(manifest({**TWO, "chat": "2"}))
    assert host.transact(bound(host.stage(manifest({**TWO, "search": "2"})), 1)) == 0
    host.started.clear()
    host.stopped.clear()
    for late in (stage, "generation-1"):
        assert host.transact(bound(late, 1)) == 3
        assert is_untouched(host, {**TWO, "search": "2"})
        error = result(host)["error"]
        assert (error["found"], error["expected"][:12]) == ("generation 2", "generation 1")
    assert host.transact(bound(stage, None)) == 3
    assert host.transact(bound(stage, 2)) == 0
    del host.running["chat"]
    assert host.transact(bound(stage, 3)) == 0  # the same again, to put right what strayed
    assert (host.running, result(host)["generation"]) == ({**TWO, "chat": "2"}, 3)


def test_few_generations_and_stages_are_kept(host: SimulatedHost) -> None:
    for number in range(2, 12):
        assert host.transact(host.stage(manifest({**TWO, "chat": str(number)}))) == 0
    kept = sorted(int(path.name) for path in host.layout.generations.iterdir() if path.name.isdigit())
    assert kept == [7, 8, 9, 10, 11]
    assert len(list(host.layout.stages.iterdir())) == 5


def test_a_stage_that_lost_power_half_unpacked_goes_and_one_under_way_stays(host: SimulatedHost) -> None:
    lost, under_way = (host.layout.stages / f".new.{boot}.Ab3xY9" for boot in ("another0", "this-one"))
    for half in (lost, under_way):
        (half / "stage" / "units").mkdir(parents=True)
        (half / "stage" / "manifest.json").write_text("{")
    whole = host.stage(manifest({**TWO, "chat": "2"}))
    host.boot()
    host.layout.boot_id.write_text("this-one-that-has-begun\n")
    assert host.recover(boot=True) == 0
    assert not lost.exists()
    assert under_way.is_dir()
    assert (host.layout.stages / whole).is_dir()


def test_what_was_waits_for_the_memory_of_what_failed(host: SimulatedHost) -> None:
    full = manifest({**TWO, "big": "1"}, gpus={"big": {CARD: 20000}})
    assert host.transact(host.stage(full)) == 0
    host.held_mib = {"big": 20000, "new": 20000}
    broken = manifest({**TWO, "new": NEVER_HEALTHY}, gpus={"new": {CARD: 20000}})
    assert host.transact(host.stage(broken)) == 1
    assert (host.running, result(host)["not_back"]) == ({**TWO, "big": "1"}, [])


def test_one_that_was_killed_before_it_touched_anything_is_spoken_for(host: SimulatedHost) -> None:
    assert host.recover(boot=False) == 0
    assert result(host)["transaction"] != "0123"  # nothing to say of one that spoke for itself
    assert host.recover(boot=False, killed="0123") == 0
    assert (result(host)["transaction"], result(host)["outcome"]) == ("0123", "refused")
    assert "killed before" in result(host)["error"]["message"]
