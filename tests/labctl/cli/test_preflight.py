"""`labctl preflight`: what people and tools see, and the exit codes."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from labctl.__main__ import run
from labctl.driver.survey import SCRIPT
from labctl.edges import preflights
from labctl.edges.machines import NoAnswer
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED, Failed
from tests.house_rules.tree import ROOT

FOLDER = ROOT / "tests" / "cases" / "preflight"
Answers = Callable[..., None]


def recorded(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def inventory(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Lets the hosts of an inventory answer: by name, the case or why there is no answer."""

    def answers(**hosts: str | NoAnswer) -> None:
        found = {
            name.replace("local", "@local"): said if isinstance(said, NoAnswer) else recorded(said)
            for name, said in hosts.items()
        }

        def ask(path: str, script: str) -> dict[str, str | NoAnswer]:
            assert (path, script) == ("home.py", SCRIPT)
            return found

        monkeypatch.setattr(preflights, "answers", ask)

    return answers


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ({"one": "debian13-two-3090-fresh"}, DONE),
        ({"one": "debian12-580-in-place", "two": "ubuntu2604-5090"}, DONE),
        ({"one": "debian12-580-in-place", "two": "debian13-p40-and-5090"}, ANSWER_IS_NO),
        ({"one": NoAnswer("no route to host"), "two": "debian13-p40-and-5090"}, FAILED),
    ],
)
def test_exit_codes(
    hosts: dict[str, str | NoAnswer], code: int, inventory: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory(**hosts)
    assert run(["preflight", "home.py"]) == code
    text = capsys.readouterr().out
    assert all(text.count(f"{name} · ") + text.count(f"{name}: ") == 1 for name in hosts)
    assert run(["preflight", "home.py", "--json"]) == code
    found = document(capsys)
    assert found["exit_code"] == code
    assert [host["name"] for host in found["hosts"]] == list(hosts)


def test_every_key_is_there_for_every_host(inventory: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(go="debian13-two-3090-fresh", refused="wsl", gone=NoAnswer("no route to host"))
    run(["preflight", "home.py", "--json"])
    go, refused, gone = document(capsys)["hosts"]
    assert set(go) == set(refused) == set(gone)
    assert (go["go"], refused["go"], gone["go"]) == (True, False, False)
    assert gone["error"] == "no route to host"
    assert refused["decision"] is None
    assert [each["code"] for each in refused["obstacles"]] == ["wsl"]
    assert go["cards"][0]["models"] == ["rtx-3090"]


def test_json_says_all_that_a_deploy_needs(inventory: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(one="debian13-two-3090-fresh")
    run(["preflight", "home.py", "--json"])
    decision = document(capsys)["hosts"][0]["decision"]
    assert decision["system"] == "Debian 13"
    assert (decision["source"], decision["branch"], decision["flavour"]) == ("nvidia", 595, "open")
    assert decision["repository"].endswith("/debian13/x86_64/")
    assert decision["key"]["fingerprint"] == "02182E60104FCDC26EAE1B8597A5D4CB8793F200"
    assert decision["cuda"]["package"] == "nvidia-cuda-toolkit"
    assert decision["pins"][0]["priority"] == 1001
    assert all(source.startswith("https://") for source in decision["sources"])


def test_what_is_asked_for_is_what_is_decided(inventory: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(one="debian13-two-3090-fresh")
    assert run(["preflight", "home.py", "--source", "distribution"]) == DONE
    assert "driver 550" in capsys.readouterr().out
    assert run(["preflight", "home.py", "--branch", "580"]) == ANSWER_IS_NO
    assert "no driver 580 for Debian 13" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["--source", "ppa"], "--source"),
        (["--branch", "latest"], "--branch"),
        (["--branch", "1"], "--branch"),
        (["--branch", "-580"], "--branch"),
        (["inventory/home.py:"], "--inventory"),
    ],
)
def test_bad_input(arguments: list[str], where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["preflight", *arguments]) == BAD_INPUT
    said = capsys.readouterr()
    assert where in said.err
    assert said.out == ""
    assert run(["preflight", *arguments, "--json"]) == BAD_INPUT
    assert document(capsys)["error"]["exit_code"] == BAD_INPUT


def test_this_machine_is_asked_without_an_inventory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflights, "SCRIPT", "echo '@@labctl name'; echo half")
    assert run(["preflight"]) == FAILED
    assert "did not finish" in capsys.readouterr().err
    monkeypatch.setattr(preflights, "SCRIPT", f"cat {FOLDER / 'ubuntu2604-5090.txt'}")
    assert run(["preflight"]) == DONE
    assert "linux-modules-nvidia-580-server-open-generic" in capsys.readouterr().out


def test_a_host_that_answers_by_halves_is_not_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflights, "answers", lambda *_: {"one": "Connection reset"})
    assert run(["preflight", "home.py"]) == FAILED
    assert "one: no answer" in capsys.readouterr().out


def test_a_host_goes_by_the_inventorys_name_but_local_by_its_own(
    inventory: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    inventory(attic="debian13-p40", local="debian13-p40")
    run(["preflight", "home.py", "--json"])
    assert [host["name"] for host in document(capsys)["hosts"]] == ["attic", "aibox"]


def test_no_shell_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError("sh")

    monkeypatch.setattr(subprocess, "run", none)
    with pytest.raises(Failed, match="could not be read"):
        preflights.this_machine()
