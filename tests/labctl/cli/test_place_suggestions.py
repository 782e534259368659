"""What `labctl place` suggests is done as it says, by hand, and asked again: the workload then has a place."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.cli import place_answer
from labctl.edges import candidates, catalog
from labctl.edges import wishes as wishes_edge
from tests.labctl.cli.fit_command import Command

HOME = Path("workloads/home.yaml")
RIGS = sorted(Path("workloads/rigs").glob("*.yaml"))
LINE = re.compile(r"`([^`]+)`")


@pytest.fixture(autouse=True)
def _one_model_for_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run of a test meets the same candidates, which remember what they have estimated."""
    monkeypatch.setattr(wishes_edge, "find", SHARED)


SHARED = cache(candidates.find)


def done(change: str, workloads: Path, rig: Path, folder: Path) -> list[str]:
    """The command line after a person has done what stands in backticks: files edited, options added."""
    files = {"workloads": yaml.safe_load(workloads.read_text()), "rig": yaml.safe_load(rig.read_text())}
    options: list[str] = []
    for line in LINE.findall(change):
        if line.startswith("--"):
            options += line.split(" ", 1)
            continue
        key, _, value = line.partition(": ")
        first, *path = key.split(".")
        if first == "hosts":
            name = ".".join(path[:-1])
            target = next(host for host in files["rig"]["hosts"] if host["name"] == name)
        else:
            target = files["workloads"]["workloads"][first]
            for step in path[:-1]:
                target = target.setdefault(step, {})
        target[path[-1]] = yaml.safe_load(value)
    for name, document in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return [str(folder / "workloads.yaml"), "--rig", str(folder / "rig.yaml"), *options]


def placed(document: dict[str, Any]) -> set[str]:
    return {each["workload"] for each in document["placements"]}


def suggested(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in document["unplaced"]:
        for suggestion in each["suggestions"]:
            yield each["workload"], suggestion


def priorities(file: Path) -> dict[str, int]:
    entries = yaml.safe_load(file.read_text())["workloads"]
    return {name: entry.get("priority", 50) for name, entry in entries.items()}


def hold(place: Command, document: dict[str, Any], workloads: Path, rig: Path, folder: Path) -> int:
    """Do each suggestion; returns how many there were. What would help the others then is not asked again."""
    count = 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place_answer, "_suggested", lambda _: {})
        for name, suggestion in suggested(document):
            _holds(place, document, name, suggestion, done(suggestion["change"], workloads, rig, folder))
            count += 1
    return count


def _holds(
    place: Command, before: dict[str, Any], name: str, suggestion: dict[str, Any], command: list[str]
) -> None:
    after, priority = place(*command, "--json").document, priorities(Path(command[0]))
    said = f"{name}: {suggestion['change']}"
    assert name in placed(after), said
    lost = placed(before) - placed(after)
    assert all(priority[each] < priority[name] for each in lost), said
    assert lost == {each["workload"] for each in suggestion["worse"] if each["loses_its_place"]}, said
    where = next(each for each in after["placements"] if each["workload"] == name)
    assert where["tokens_per_second"] == suggestion["tokens_per_second"], said


@pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.stem)
def test_every_seed_rig_places_the_manual_or_is_told_what_would(
    rig: Path, place: Command, tmp_path: Path
) -> None:
    said = place(str(HOME), "--rig", str(rig), "--json")
    refused = said.document["unplaced"]
    assert said.code == (3 if refused else 0)
    assert all(each["suggestions"] for each in refused)
    assert hold(place, said.document, HOME, rig, tmp_path) >= len(refused)


def test_at_most_four_are_shown_and_one_of_them_may_cost_money(place: Command) -> None:
    said = place(str(HOME), "--rig", "workloads/rigs/single-5090.yaml").out
    assert all(len(line) <= 80 for line in said.splitlines())
    shown = [line for line in said.splitlines() if line.startswith("  - ")]
    assert 1 < len(shown) <= 4
    assert shown[0].startswith("  - `chat.apart_from: []`")
    assert "--add" in shown[-1]


def test_where_nothing_helps_it_is_said(place: Command, tmp_path: Path) -> None:
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text("workloads: {big: {service: container, image: a.org/b:1, vram_mib: 900000}}\n")
    rig.write_text("{name: r, hosts: [{name: box, gpus: [{model: rtx-3060}], ram_gib: 32}]}\n")
    said = place(str(workloads), "--rig", str(rig))
    assert said.code == 3
    assert "Nothing that was tried gives it a place" in said.out


@pytest.mark.parametrize(
    ("entry", "host", "expected"),
    [
        ("{service: llama.cpp, model: llama-3.1-8b, quant: Q8_0, context: 18432}", "", "a.kv_type: q8_0"),
        ("{service: llama.cpp, model: llama-3.1-8b, quant: Q8_0, context: 131072}", "", "a.context: "),
        ("{service: llama.cpp, model: llama-3.1-8b, quant: F16}", "", "a.quant: [F16, Q8_0]"),
        ("{service: container, image: a.org/b:1, vram_mib: 20000}", "", "--add tesla-m40-24gb"),
        ("{service: container, image: a.org/b:1, ram_mib: 40000}", "", "--ram 64"),
        ("{service: container, image: a.org/b:1, disk_mib: 300000}", "", "hosts.box.disk_gib: 512"),
        (
            "{service: container, image: a.org/b:1, vram_mib: 9, gpus: {models: [rtx-4090]}}",
            "",
            "a.gpus.models: [rtx-4090, rtx-3060]",
        ),
        ("{service: container, image: a.org/b:1, vram_mib: 9}", "psu_watts: 280, ", "--power-limit box/0=155"),
    ],
)  # fmt: skip
def test_the_first_is_what_takes_least_away(
    entry: str, host: str, expected: str, place: Command, tmp_path: Path
) -> None:
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text(f"workloads: {{a: {entry}}}\n")
    rig.write_text(
        "{name: r, hosts: [{name: box, gpus: [{model: rtx-3060}], ram_gib: 32, disk_gib: 256, "
        f"{host}cpu: {{tdp_watts: 50}}}}]}}\n"
    )
    document = place(str(workloads), "--rig", str(rig), "--json").document
    (refused,) = document["unplaced"]
    assert expected in refused["suggestions"][0]["change"]
    assert hold(place, document, workloads, rig, tmp_path) == len(refused["suggestions"])


def test_a_card_is_judged_together_with_those_that_are_there(place: Command, tmp_path: Path) -> None:
    """No card of 24 GiB holds a model of 70B, and two of them do: another one like it, or the cheapest."""
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text("workloads: {big: {service: llama.cpp, model: llama-3.3-70b}}\n")
    rig.write_text(
        "{name: r, hosts: [{name: box, gpus: [{model: rtx-3090}], ram_gib: 64, psu_watts: 1000, "
        "pcie_slots: [16, 16]}]}\n"
    )
    document = place(str(workloads), "--rig", str(rig), "--json").document
    (refused,) = document["unplaced"]
    bought = [each["writes"] for each in refused["suggestions"] if "card" in each["kinds"]]
    assert bought == [["--add tesla-m40-24gb"], ["--add rtx-3090"]]
    assert hold(place, document, workloads, rig, tmp_path) == len(refused["suggestions"])


@pytest.mark.parametrize(
    ("entries", "name", "first"),
    [
        ("a: {service: container, image: a.org/b:1, vram_mib: 17000, priority: 90}, b: {service: ollama}",
         "b", ["b.vram_mib: 5632"]),
        ("a: {service: container, image: a.org/b:1, vram_mib: 8000, priority: 90}, b: {service: comfyui}",
         "b", ["b.vram_mib: 14848"]),
        ("a: {service: ollama}, b: {service: comfyui}", "b", ["b.vram_mib: 11264", "a.vram_mib: 11264"]),
    ],
)  # fmt: skip
def test_an_engine_that_fills_a_card_is_capped_before_a_card_is_bought(
    entries: str, name: str, first: list[str], place: Command, tmp_path: Path
) -> None:
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text(f"workloads: {{{entries}}}\n")
    rig.write_text("{name: r, hosts: [{name: box, gpus: [{model: rtx-3090}], ram_gib: 64}]}\n")
    document = place(str(workloads), "--rig", str(rig), "--json").document
    (refused,) = document["unplaced"]
    assert refused["workload"] == name
    assert refused["suggestions"][0]["writes"] == first
    added = [line.split()[1] for each in refused["suggestions"] for line in each["writes"] if "--add" in line]
    assert all(catalog.gpu(each).memory_mib >= 6144 for each in added)
    assert hold(place, document, workloads, rig, tmp_path) == len(refused["suggestions"])


def test_a_purchase_leaves_the_power_supply_a_tenth_or_names_a_larger_one(
    place: Command, tmp_path: Path
) -> None:
    """Host 75 W, RTX 3060 170 W, Tesla M40 250 W: 495 W, which is nine tenths of 550 W."""
    workloads, rig = tmp_path / "w.yaml", tmp_path / "r.yaml"
    workloads.write_text("workloads: {a: {service: container, image: a.org/b:1, vram_mib: 20000}}\n")
    for watts, said in ((550, False), (540, True)):
        rig.write_text(
            "{name: r, hosts: [{name: box, gpus: [{model: rtx-3060}], ram_gib: 32, "
            f"host_watts: 75, psu_watts: {watts}}}]}}\n"
        )
        document = place(str(workloads), "--rig", str(rig), "--json").document
        suggestions = document["unplaced"][0]["suggestions"]
        card = next(each for each in suggestions if "--add tesla-m40-24gb" in each["writes"])
        assert "needs a fan of its own" in card["change"]
        assert (len(card["writes"]) > 1) == said, card["writes"]
        for limit in (line for line in card["writes"] if "--power-limit" in line):
            name, _, held = limit.split()[1].partition("=")
            assert int(held) >= 0.6 * {"box/0": 170, "box/new-1": 250}[name]
