"""`labctl models`: what people and tools see, and the exit codes; on a simulated host, from a simulated hub."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.__main__ import run
from labctl.cli import models_list, models_progress, models_pull, models_rm
from labctl.cli.models_text import status_text
from labctl.edges.model_hosts import ModelHost
from labctl.edges.plan_file import write_plan
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED, Failed, LabctlError
from labctl.model_store.progress import Status
from labctl.plan.plan import Plan, PlannedPort
from labctl.plan.plan_json import dump
from labctl.render.model_place import place_of
from labctl.transaction.manifest import ManagedUnit, Manifest, staged_file
from tests.labctl.edges.hub_server import REPOSITORY, TOKEN, Hub, serving
from tests.labctl.edges.simulated_model_host import SimulatedModelHost
from tests.labctl.plan.plans import FIRST, SECOND, host, plan, runs

CONTENT = bytes(range(256)) * 1024
PLACE = place_of(REPOSITORY, "Q4_K_M", "llama.cpp")
Hosts = Mapping[str, ModelHost | LabctlError]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedModelHost]:
    """The one host of the inventory."""
    found = SimulatedModelHost(tmp_path)
    known(monkeypatch, {"aibox": found.host})
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield found
    found.shell.close()


def known(monkeypatch: pytest.MonkeyPatch, hosts: Hosts) -> None:
    @contextmanager
    def simulated(inventory: str) -> Iterator[Hosts]:
        assert inventory == "inventory/home.py"
        yield hosts

    for module in (models_list, models_pull, models_rm):
        monkeypatch.setattr(module, "model_hosts", simulated)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {name: (CONTENT, len(CONTENT)) for name in ("m-Q4_K_M.gguf", "model.safetensors", "config.json")}
    with serving(Hub(files, hashes=True)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def labctl(*words: str) -> int:
    return run(["models", *words])


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    found = capsys.readouterr()
    # A word that is longer than a line, as pytest's own folders are, cannot be broken.
    lines = [line for line in found.out.splitlines() if max(map(len, line.split()), default=0) < 60]
    assert all(len(line) <= 80 for line in lines), found.out
    return found.out, found.err


def of_plan(**workloads: Any) -> Plan:
    return plan({name: runs(**values) for name, values in workloads.items()})


def in_force(box: SimulatedModelHost, of: Plan) -> None:
    """The plan's workloads that are called as units here."""
    files = (staged_file("units/x.container", b"x"),)
    units = tuple(
        ManagedUnit(name, f"labctl-{name}.service", ("units/x.container",)) for name in of.workloads
    )
    box.put_in_force(dump(of), Manifest(files, units).text())


CHAT = {"service": "llama.cpp", "model": REPOSITORY, "variant": {"quant": "Q4_K_M"}}


def test_a_model_comes_and_the_second_time_nothing_is_asked(
    box: SimulatedModelHost, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labctl("pull", REPOSITORY, "--quant", "Q4_K_M") == DONE
    out, err = said(capsys)
    assert "here now, verified" in out
    assert "everything is there" in out
    assert err
    assert box.content(PLACE) == CONTENT
    asked = len(hub.requests)
    assert labctl("pull", REPOSITORY, "--quant", "Q4_K_M") == DONE
    assert "was there already" in said(capsys)[0]
    assert len(hub.requests) == asked
    hub.files = {"m-Q5_K_M.gguf": (CONTENT, len(CONTENT))}
    assert labctl("pull", "mine", "--from", f"{REPOSITORY}:Q5_K_M") == DONE
    assert box.content("mine/mine-Q5_K_M.gguf") == CONTENT


@pytest.mark.usefixtures("hub")
def test_a_plan_gets_all_that_it_needs_once(
    box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]
) -> None:
    serve = {"service": "vllm", "model": REPOSITORY, "variant": {"quant": "bf16"}}
    write_plan(Path("plan.json"), of_plan(chat=CHAT, twin=CHAT, serve=serve))
    assert labctl("pull", "--json") == DONE
    document = json.loads(capsys.readouterr().out)
    [on] = document["hosts"]
    assert (on["name"], on["folder"], on["error"]) == ("aibox", str(box.folder), None)
    assert [(each["place"], each["outcome"]) for each in on["models"]] == [
        (f"{REPOSITORY}/bf16", "pulled"),
        (PLACE, "pulled"),
    ]
    assert box.content(f"{REPOSITORY}/bf16/config.json") == CONTENT


@pytest.mark.usefixtures("hub")
def test_of_a_plan_what_nobody_knows_does_not_keep_the_rest_away(
    box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]
) -> None:
    awq = {"service": "vllm", "model": "llama-3.1-8b", "variant": {"quant": "awq"}}
    write_plan(Path("p.json"), of_plan(chat=CHAT, serve=awq))
    assert labctl("pull", "p.json") == FAILED
    out = " ".join(said(capsys)[0].split())
    assert "llama-3.1-8b/awq: did NOT come" in out
    assert "labctl models pull llama-3.1-8b --quant awq --engine vllm --from org/name" in out
    assert "1 of 2 did not come" in out
    assert box.content(PLACE) == CONTENT


def test_of_a_plan_what_no_engine_is_told_of_is_left_to_a_person(
    box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {"service": "comfyui", "model": "sdxl", "variant": {"quant": "fp16"}}
    listen = {"service": "whisper", "model": "whisper-small", "ports": (PlannedPort(8000, 20004),)}
    write_plan(Path("plan.json"), of_plan(images=images, listen=listen))
    assert labctl("pull") == DONE
    out = " ".join(said(capsys)[0].split())
    assert "labctl models pull sdxl --quant fp16 --engine comfyui --from org/name" in out
    assert "curl -fX POST http://127.0.0.1:20004/v1/models/Systran/faster-whisper-small" in out
    assert out.endswith("aibox: 2 are left to you")
    assert labctl("pull", "--json") == DONE
    [on] = json.loads(capsys.readouterr().out)["hosts"]
    assert [each["workload"] for each in on["left_out"]] == ["images", "listen"]
    (box.folder / "sdxl" / "fp16").mkdir(parents=True)
    (box.folder / "sdxl" / "fp16" / "model_index.json").write_text("{}")
    assert labctl("pull") == DONE
    out = said(capsys)[0]
    assert "sdxl/fp16: was there already" in out
    assert out.endswith("aibox: what is pulled is there; 1 is left to you\n")


def test_a_plan_without_models_needs_none(
    box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]
) -> None:
    write_plan(Path("plan.json"), of_plan(ui={"service": "open-webui"}))
    assert labctl("pull") == DONE
    assert said(capsys)[0] == "aibox: no model is needed\n"
    assert not box.folder.exists()


def test_nothing_that_pyinfra_has_to_patch_is_loaded_before_it() -> None:
    modules = "labctl.cli.models_pull, labctl.cli.models_list, labctl.cli.models_rm, sys"
    code = f"import {modules}; sys.exit('ssl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_more_words_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert labctl() == DONE
    assert "labctl models pull" in said(capsys)[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pull"], "the plan cannot be read"),
        (["pull", "plan.json", "--quant", "Q8_0"], "a plan says itself"),
        (["pull", "mine", "--engine", "ollama"], "no engine of that name"),
        (["pull", "mine", "--from", "https://example.org/m.gguf"], "an address needs a checksum"),
        (["pull", "a", "b", "--from", "org/name"], "one source is for one model"),
        (["pull", "lama-3.1-8b"], "did you mean llama-3.1-8b"),
        (["pull", REPOSITORY, "--quant", "Q5_K_M"], "Q4_K_M"),
        (["pull", "someone/modle"], REPOSITORY),
        (["rm", "none"], "there is no such model"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_what_cannot_be_meant_changes_nothing(
    box: SimulatedModelHost, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert labctl(*words) == BAD_INPUT
    assert message in said(capsys)[1]
    assert "useradd" not in box.said
    assert not box.folder.exists()
    assert labctl(*words, "--json") == BAD_INPUT
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == BAD_INPUT


@pytest.mark.usefixtures("box")
def test_a_plan_for_cards_without_uuids_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = of_plan(chat=CHAT)
    write_plan(Path("plan.json"), replace(found, rig=replace(found.rig, bound=False)))
    assert labctl("pull") == BAD_INPUT
    assert "cards without UUIDs" in said(capsys)[1]


def test_a_host_that_the_inventory_does_not_have_is_named(
    box: SimulatedModelHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = of_plan(chat=CHAT, other={**CHAT, "host": "elsewhere"})
    write_plan(Path("plan.json"), plan(there.workloads, host(FIRST), host(SECOND, name="elsewhere")))
    known(monkeypatch, {"aibox": box.host, "third": box.host})
    assert labctl("pull") == BAD_INPUT
    assert "found elsewhere, expected aibox, third" in said(capsys)[1]


def test_one_of_several_hosts_has_to_be_named(
    box: SimulatedModelHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, {"one": box.host, "two": box.host})
    assert labctl("pull", REPOSITORY) == BAD_INPUT
    assert "inventory/home.py:HOST" in said(capsys)[1]


def test_a_gated_repository_wants_a_token(
    box: SimulatedModelHost, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.manner = "gated"
    assert labctl("pull", REPOSITORY) == FAILED
    out = said(capsys)[0]
    assert "gated" in out
    assert "HF_TOKEN" in out
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert labctl("pull", REPOSITORY) == DONE
    assert box.content(PLACE) == CONTENT
    shown = "".join(said(capsys))
    assert TOKEN not in shown + box.said


@pytest.mark.parametrize(("busy", "message"), [(0, "other SHA-256"), (99, "HTTP 429")])
def test_what_the_host_could_not_do_is_told(
    box: SimulatedModelHost, hub: Hub, capsys: pytest.CaptureFixture[str], busy: int, message: str
) -> None:
    hub.busy, hub.retry_after = busy, "3600"
    address = f"{hub.url}/files/m-Q4_K_M.gguf"
    assert labctl("pull", "mine", "--from", address, "--sha256", "0" * 64) == FAILED
    assert message in " ".join(said(capsys)[0].split())
    assert box.content("mine/mine-Q4_K_M.gguf") is None


@pytest.mark.usefixtures("hub")
def test_a_killed_pull_is_told(box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]) -> None:
    box.kill_pulls()
    assert labctl("pull", REPOSITORY, "--json") == FAILED
    document = json.loads(capsys.readouterr().out)
    assert "before it was done" in document["hosts"][0]["error"]["message"]


def test_a_file_of_this_machine_is_sent(box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.gguf").write_bytes(CONTENT)
    assert labctl("pull", "mine", "--from", "./mine.gguf") == DONE
    assert box.content("mine/mine-Q4_K_M.gguf") == CONTENT
    assert "is sent" in said(capsys)[1]
    assert labctl("pull", "again", "--from", f"host:{Path('mine.gguf').resolve()}") == DONE
    assert box.content("again/again-Q4_K_M.gguf") == CONTENT
    assert "PrivateNetwork=yes" in box.said


def test_what_has_no_room_is_not_sent(
    box: SimulatedModelHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.gguf").write_bytes(CONTENT)
    listed = box.models.listed()
    monkeypatch.setattr(box.models, "listed", lambda: replace(listed, free_bytes=1000))
    assert labctl("pull", "mine", "--from", "./mine.gguf") == FAILED
    assert "there is not enough room" in said(capsys)[0]
    assert not box.folder.exists()


def test_the_list_says_what_loads_what(box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]) -> None:
    assert labctl("list") == DONE
    assert "not there yet" in said(capsys)[0]
    for path in (PLACE, "by-hand.gguf", "half.gguf.part/half.gguf.part"):
        (box.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (box.folder / path).write_bytes(CONTENT)
    in_force(box, of_plan(chat=CHAT))
    assert labctl("list") == DONE
    out = said(capsys)[0]
    assert "loaded by labctl-chat.service" in out
    assert "PART: 0.2 MiB of ?" in out
    assert "put there by hand" in out
    assert labctl("list", "--json") == DONE
    [on] = json.loads(capsys.readouterr().out)["hosts"]
    assert {each["place"]: (each["whole"], each["units"]) for each in on["models"]} == {
        PLACE: (True, ["labctl-chat.service"]),
        "by-hand.gguf": (True, []),
        "half.gguf": (False, []),
    }
    assert on["free_bytes"] > 0


def test_a_host_that_does_not_answer_is_one_of_the_list(
    box: SimulatedModelHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, {"aibox": box.host, "gone": Failed("no route to host", where="gone")})
    assert labctl("list") == FAILED
    assert "no route to host" in said(capsys)[0]
    assert labctl("rm", "x", "--yes") == FAILED


def test_what_a_unit_loads_stays(box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (PLACE, "other.gguf"):
        (box.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (box.folder / path).write_bytes(CONTENT)
    in_force(box, of_plan(chat=CHAT))
    assert labctl("rm", REPOSITORY, "--yes") == ANSWER_IS_NO
    assert "labctl-chat.service" in said(capsys)[1]
    assert box.content(PLACE) == CONTENT
    assert labctl("rm", "other.gguf") == BAD_INPUT  # nobody can be asked here
    assert labctl("rm", "othr.gguf", "--yes") == BAD_INPUT
    assert "other.gguf" in said(capsys)[1]
    assert labctl("rm", "other.gguf", "--yes") == DONE
    assert box.content("other.gguf") is None
    assert labctl("rm", PLACE, "--yes", "--force", "--json") == DONE
    capsys.readouterr()
    assert list(box.folder.glob("*.gguf")) == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", DONE), ("\n", FAILED)])
def test_a_person_is_asked(
    box: SimulatedModelHost,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    code: int,
) -> None:
    box.folder.mkdir()
    (box.folder / "m.gguf").write_bytes(CONTENT)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: answer, raising=False)
    assert labctl("rm", "m.gguf") == code
    assert "removes m.gguf, 0.2 MiB" in said(capsys)[1]
    assert (box.content("m.gguf") is None) == (code == DONE)


def test_several_of_one_name_are_listed(box: SimulatedModelHost, capsys: pytest.CaptureFixture[str]) -> None:
    (box.folder / "a").mkdir(parents=True)
    for name in ("a-Q4.gguf", "a-Q8.gguf"):
        (box.folder / "a" / name).write_bytes(b"1")
    assert labctl("rm", "a", "--yes") == BAD_INPUT
    assert "a/a-Q4.gguf, a/a-Q8.gguf" in said(capsys)[1]


def test_a_log_gets_a_line_per_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    line = models_progress.Line()
    for done in range(1001):
        line.show("aibox", Status("loading", "a.gguf", "a.gguf", done, 1000))
    line.end()
    assert len(said(capsys)[1].splitlines()) == 11


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            Status("loading", "p", "m.gguf", 5 * 1024**3, 10 * 1024**3),
            "  50 % 5.0 GiB of 10.0 GiB, fetching m.gguf",
        ),
        (Status("loading", "p", "m.gguf", 1024**2, None), " 1.0 MiB of ?, fetching m.gguf"),
        (Status("waiting", note="another pull is under way"), " another pull is under way"),
    ],
)
def test_one_line_says_how_far_it_is(status: Status, text: str) -> None:
    assert status_text("aibox", status) == f"aibox:{text}"
    assert len(status_text("aibox", replace(status, file="x" * 200))) < 80
