"""`labctl place` on the manual and the seed rigs: verdicts, the contract's document, the picture, exit codes."""

import json
import re
from pathlib import Path

import pytest

from labctl.place.problem_json import load
from tests.labctl.cli.fit_command import Command

HOME = "workloads/home.yaml"
DUAL = "workloads/rigs/dual-3090.yaml"
SMALL = "workloads/rigs/super-budget.yaml"
CONTRACT = {
    "schema_version",
    "placements",
    "unplaced",
    "gpus",
    "power",
    "tiers",
    "optimal",
    "assumptions",
    "changes",
    "out",
}


def test_the_manual_fits_two_3090(place: Command) -> None:
    said = place(HOME, "--rig", DUAL)
    assert said.code == 0
    assert said.out.startswith(f"Yes: all 8 of {HOME} fit on dual-3090.")
    assert all(len(line) <= 80 for line in said.out.splitlines())


def test_the_document_is_the_contracts(place: Command) -> None:
    said = place(HOME, "--rig", DUAL, "--json")
    document = said.document
    assert set(document) == CONTRACT
    assert document["optimal"] is True
    assert [each["value"] == each["bound"] for each in document["tiers"]] == [True] * 7
    assert {each["workload"] for each in document["placements"]} == {
        "chat", "ui", "images", "listen", "tune", "search", "home-assistant", "nextcloud",
    }  # fmt: skip
    cards = {each["uuid"]: each for each in document["gpus"]}
    assert set(cards) == {"aibox/0", "aibox/1"}
    for each in document["placements"]:
        assert set(each["gpus"]) == set(each["memory_mib"]) <= set(cards)
    assert all(card["claimed_mib"] <= card["usable_mib"] < card["memory_mib"] for card in cards.values())
    assert document["power"]["aibox"] == {
        "gpu_watts": 560, "system_watts": 195, "peak_watts": 1075, "psu_watts": 1300, "ok": True, "warning": None,
    }  # fmt: skip


def test_chat_and_images_stay_apart_and_a_job_may_take_the_chats_place(place: Command) -> None:
    placed = {
        each["workload"]: each["gpus"] for each in place(HOME, "--rig", DUAL, "--json").document["placements"]
    }
    assert set(placed["chat"]).isdisjoint(placed["images"])
    assert len(placed["tune"]) == 1


def test_what_has_no_place_says_why_for_every_card(place: Command) -> None:
    said = place(HOME, "--rig", SMALL, "--json")
    assert said.code == 3
    unplaced = {each["workload"]: each for each in said.document["unplaced"]}
    assert "images" in unplaced
    for refusal in unplaced["images"]["refusals"]:
        assert refusal["reason"] == "too_small"
        assert refusal["needs_mib"] > refusal["free_mib"] > 0
    assert [each["gpu"] for each in unplaced["images"]["refusals"]] == ["optiplex/0", "optiplex/1"]
    out = place(HOME, "--rig", SMALL).out
    assert re.search(
        r"images has no place:\n +needs MiB +free MiB\n +optiplex/0 +\d,\d+ +\d+ +the card is too small\n",
        out,
    )


def test_the_problem_is_written_and_reads_back(place: Command, tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    assert place(HOME, "--rig", DUAL, "--problem", str(file)).code == 0
    problem = load(file.read_text(), "problem.json")
    assert {each.name for each in problem.workloads} >= {"chat", "tune"}
    before = file.read_bytes()
    assert place(HOME, "--rig", DUAL, "--problem", str(file)).code == 0
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.yaml", "--rig", DUAL), ("nowhere.yaml", "cannot be read")),
        ((HOME, "--rig", "nowhere.yaml"), ("nowhere.yaml", "cannot be read")),
        ((HOME, "--rig", DUAL, "--inventory", "inventory/home.py"), ("--inventory", "given twice")),
    ],
)
def test_bad_input_is_told_in_a_line(
    arguments: tuple[str, ...], words: tuple[str, ...], place: Command
) -> None:
    said = place(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert all(word in said.err for word in words)
    assert json.loads(place(*arguments, "--json").out)["error"]["exit_code"] == 2


def test_a_model_that_is_nowhere_is_told_with_its_line(place: Command, tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("workloads:\n  chat:\n    service: llama.cpp\n    model: qwen3-8bb\n")
    said = place(str(file), "--rig", DUAL)
    assert said.code == 2
    assert f"{file}:2: chat.model" in said.err
    assert "did you mean qwen3-8b" in said.err
