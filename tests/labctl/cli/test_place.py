"""`labctl place` on the manual and the seed rigs: verdicts, the contract's document, the picture, exit codes."""

import json
import re
from pathlib import Path

import pytest

from labctl.cli import place_answer
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
    "faster",
    "notes",
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


def test_what_has_no_place_says_why_for_every_card(place: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    # What would help is test_place_suggestions' matter, and takes seconds.
    monkeypatch.setattr(place_answer, "_suggested", lambda _: {})
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
    assert f"{file}:4: chat.model" in said.err
    assert "did you mean qwen3-8b" in said.err


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("model: qwen3-8b, gpus: {models: [rtx-3900]}", ("chat.gpus.models", "found rtx-3900", "rtx-3090")),
        ("model: qwen3-8b, quant: Q4KM", ("chat.quant", "found Q4KM", "Q4_K_M")),
        (
            "model: qwen3-8b, kv_type: fp8",
            ("chat.kv_type", "llama.cpp has no KV cache in this format", "q8_0"),
        ),
        ("model: qwen3-8b, service: vllm, gpus: {count: 3}", ("chat.gpus.count", "32 heads on 3 cards")),
        ("model: whisper-tiny, service: whisper, gpus: {count: 2}", ("keeps a model on one card", "found 2")),
        ("model: qwen3-8b, service: vllm, gpus: {count: 0}", ("vllm needs a card",)),
    ],
)
def test_what_no_cards_could_serve_is_bad_input(
    entry: str, words: tuple[str, ...], place: Command, tmp_path: Path
) -> None:
    file = tmp_path / "w.yaml"
    service = "" if "service:" in entry else "service: llama.cpp, "
    file.write_text(f"workloads:\n  chat: {{{service}{entry}}}\n")
    said = place(str(file), "--rig", DUAL)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"labctl: {file}:2: chat.")
    assert all(word in said.err for word in words), said.err


def test_without_any_card_services_are_placed_and_the_rest_says_why(place: Command, tmp_path: Path) -> None:
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text(
        "workloads:\n"
        "  cloud: {service: nextcloud}\n"
        "  slow: {service: llama.cpp, model: qwen2.5-0.5b, gpus: {count: 0}}\n"
        "  chat: {service: llama.cpp, model: qwen2.5-0.5b}\n"
    )
    rig.write_text("name: bare\nhosts:\n  - {name: box, ram_gib: 16}\n")
    said = place(str(workloads), "--rig", str(rig), "--json")
    assert said.code == 3
    assert {each["workload"]: each["gpus"] for each in said.document["placements"]} == {
        "cloud": [],
        "slow": [],
    }
    (chat,) = said.document["unplaced"]
    assert [(each["gpu"], each["host"], each["reason"]) for each in chat["refusals"]] == [
        (None, "box", "too_few_on_host")
    ]


def test_a_host_of_64_cards_is_answered(place: Command, tmp_path: Path) -> None:
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text(
        "workloads:\n  chat: {service: llama.cpp, model: llama-3.1-70b, quant: Q8_0}\n"
        "  four: {service: container, image: a.org/b:1, vram_mib: 100, gpus: {count: 4}}\n"
    )
    rig.write_text("name: many\nhosts:\n  - {name: box, gpus: [{model: rtx-3090, count: 64}]}\n")
    said = place(str(workloads), "--rig", str(rig), "--json")
    assert said.code == 0
    assert {each["workload"]: len(each["gpus"]) for each in said.document["placements"]} == {
        "chat": 4,
        "four": 4,
    }


def test_unified_memory_of_unknown_size_is_asked_for_in_the_rig(place: Command, tmp_path: Path) -> None:
    rig = tmp_path / "r.yaml"
    rig.write_text("name: spark\nhosts:\n  - {name: spark, gpus: [{model: dgx-spark}]}\n")
    said = place(HOME, "--rig", str(rig))
    assert said.code == 2
    assert f"{rig}: hosts.spark.ram_gib: unified memory is RAM" in said.err


def test_what_would_run_much_faster_is_told_and_true(place: Command, tmp_path: Path) -> None:
    text = (
        "workloads:\n  chat: {service: llama.cpp, model: qwen2.5-7b, quant: [Q8_0, Q4_K_M], context: 32768, "
        "offload: true, gpus: {count: 1}}\n"
    )
    file, rig = tmp_path / "mine.yaml", "workloads/rigs/budget-3060.yaml"
    file.write_text(text.replace("context: 32768", "context: 65536"))
    (told,) = place(str(file), "--rig", rig, "--json").document["faster"]
    assert told["change"] == "chat.offload: false"
    assert f"would do {told['tokens_per_second']['then']:.0f} with" in " ".join(
        place(str(file), "--rig", rig).out.split()
    )
    now = told["tokens_per_second"]["now"]
    file.write_text(file.read_text().replace("offload: true", "offload: false"))
    after = place(str(file), "--rig", rig, "--json").document
    (chat,) = after["placements"]
    assert chat["tokens_per_second"] == told["tokens_per_second"]["then"] >= 1.5 * now
    assert chat["variant"] == told["variant"]
    assert after["faster"] == []


def test_one_that_uses_another_on_another_host_is_told(tmp_path: Path, place: Command) -> None:
    machine = "cpu: {model: X, memory_bandwidth_gbs: 76.8, tdp_watts: 120}, ram_gib: 64, disk_gib: 500, psu_watts: 900"
    rig = tmp_path / "two.yaml"
    rig.write_text(
        "name: two\nhosts:\n"
        + "".join(
            f"  - {{name: {name}, gpus: [{{model: rtx-3090}}], {machine}}}\n" for name in ("abox", "zbox")
        )
    )
    file = tmp_path / "w.yaml"
    chat = "{service: llama.cpp, model: llama-3.1-8b, quant: [q4_k_m], context: 8192, gpus: {host: zbox}}"
    file.write_text(
        f"workloads:\n  chat: {chat}\n  ui: {{service: open-webui, uses: [chat], gpus: {{host: abox}}}}\n"
    )
    plan = tmp_path / "plan.json"
    answer = place(str(file), "--rig", str(rig), "--out", str(plan))
    note = (
        "ui on abox uses chat on zbox, which it cannot reach from there: `labctl apply` refuses it. "
        "Write `ui.gpus: {host: zbox}`."
    )
    assert answer.code == 0
    assert f"! {note}" in " ".join(answer.out.split())
    assert place(str(file), "--rig", str(rig), "--json").document["notes"] == [note]
    file.write_text(file.read_text().replace("abox", "zbox"))
    assert place(str(file), "--rig", str(rig), "--json").document["notes"] == []
