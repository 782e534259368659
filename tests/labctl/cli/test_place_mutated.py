"""Workloads and rig files as they come out of a hurried editor: an answer, or a sentence with the file and the place."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.__main__ import run
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, BadInput
from tests.house_rules.tree import ROOT
from tests.labctl.cli.mutations import mutated
from tests.labctl.cli.place_checker import complaints

HOME = (ROOT / "workloads" / "home.yaml").read_text(encoding="utf-8")
RIGS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "workloads" / "rigs").glob("*.yaml"))]
SMALL_RIG = """
name: small
hosts:
  - name: box
    gpus: [{model: rtx-3060, count: 2}]
    ram_gib: 64
    psu_watts: 500
    disk_gib: 500
"""
# Every kind of workload and most keys, with little to choose from: a mutant of it is placed in no time.
SMALL = """
workloads:
  chat: {service: llama.cpp, model: qwen2.5-1.5b, quant: [Q8_0], context: {want: 8192, min: 4096}, parallel: 2,
         kv_type: f16, priority: 100, load: 3, gpus: {count: 1, models: [rtx-3060, rtx-3090], exclusive: false}}
  ui: {service: open-webui, uses: [chat], expose: chat.home.example, env: {NAME: home, N: 1}}
  listen: {service: whisper, model: whisper-tiny, quant: int8, apart_from: [thing]}
  thing: {service: container, image: "example.org/thing:1", vram_mib: 1500, ram_mib: 512, disk_mib: 10, ports: [8080, "9000:80"],
          volumes: {data: /data}, args: [-v], devices: [/dev/null]}
  tune: {service: axolotl, model: qwen2.5-0.5b, training: {method: qlora, batch: 1, sequence: 512, rank: 8},
         displaces: [chat], when: "01:00-07:00", priority: 20}
  paint: {service: comfyui, model: sd1.5, dtype: fp16, size: 512x512, frames: 1}
  cloud: {service: nextcloud, data: /srv/cloud}
"""
SEVERAL = 10_000


@pytest.fixture(autouse=True)
def _a_hub_without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutated model's name may look like one on the hub; nobody is asked."""

    def nothing_there(self: object) -> None:
        raise BadInput("no such repository", where="hub")

    monkeypatch.setattr("labctl.edges.hub.HubRepository.sizes", property(nothing_there))


def mutants(chance: random.Random) -> Iterator[tuple[str, bytes, bytes]]:
    """What was mutated, the workloads file and the rig file."""
    while True:
        which = chance.random()
        if which < 0.45:
            yield "workloads", mutated(SMALL, chance), SMALL_RIG.encode()
        elif which < 0.55:
            yield "workloads", mutated(HOME, chance), SMALL_RIG.encode()
        else:
            yield "rig", SMALL.encode(), mutated(chance.choice((SMALL_RIG, *RIGS)), chance)


def hold(count: int, seed: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> Counter[int]:
    """How often each exit code came; fails at the first pair of files that is not answered as it should be."""
    found: Counter[int] = Counter()
    files = {name: folder / f"{name}.yaml" for name in ("workloads", "rig")}
    source = mutants(random.Random(seed))
    for number in range(count):
        which, workloads, rig = next(source)
        files["workloads"].write_bytes(workloads)
        files["rig"].write_bytes(rig)
        code = run(["place", str(files["workloads"]), "--rig", str(files["rig"]), "--json"])
        said = capsys.readouterr()
        written = (workloads if which == "workloads" else rig)[:2000]
        document = json.loads(said.out)
        assert code in (DONE, BAD_INPUT, ANSWER_IS_NO), (seed, number, document, written)
        assert said.err == "", (seed, number, said.err)
        if code == BAD_INPUT:
            assert _names_the_place(document["error"], files[which]), (seed, number, document, written)
        else:
            wrong = complaints(document, yaml.safe_load(workloads), yaml.safe_load(rig))
            assert not wrong, (seed, number, wrong, written)
        found[code] += 1
    return found


OF_THE_WHOLE_FILE = ("is empty", "cannot be read", "too large")


def _names_the_place(error: dict[str, Any], file: Path) -> bool:
    where = error["where"] or ""
    if re.match(rf"{re.escape(str(file))}(:\d+|: hosts\.)", where):
        return len(error["message"]) > 5
    return where == str(file) and any(each in error["message"] for each in OF_THE_WHOLE_FILE)


def test_mutated_files_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = hold(500, 4, tmp_path, capsys)
    # Mutants that are all refused, or all placed, would test little.
    assert min(found[DONE] + found[ANSWER_IS_NO], found[BAD_INPUT]) > 50
    assert found[ANSWER_IS_NO] > 5


@pytest.mark.nightly
def test_many_mutated_files_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold(SEVERAL, 5, tmp_path, capsys)
