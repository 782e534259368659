"""What holds for every answer of `labctl place`, on rigs and workloads of all kinds, checked from outside."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.edges import workloads_file as parsed_workloads
from labctl.place import build, solver_instance
from labctl.place.problem_json import dump, load
from labctl.place.solver import solve
from labctl.workloads.workload import Workload
from tests.labctl.cli.fit_command import Command
from tests.labctl.cli.place_checker import complaints
from tests.labctl.place.reference import tier_values

Json = dict[str, Any]
SEEDS = range(24)
CARDS = ("rtx-3090", "rtx-3060", "rtx-4060", "tesla-p40", "rtx-5090")
MODELS = (("qwen2.5-0.5b", "Q8_0"), ("llama-3.1-8b", "Q4_K_M"), ("qwen2.5-14b", "Q6_K"), ("bge-m3", "F16"))


def files(seed: int) -> tuple[Json, Json]:
    """A workloads file and a rig file: several hosts of unlike cards, counts, priorities, pins, jobs, variants."""
    chance = random.Random(seed)
    rig = {"name": "rig", "hosts": [_host(chance, number) for number in range(chance.choice((1, 1, 2)))]}
    names = [f"w{number}" for number in range(chance.randint(3, 6))]
    workloads = {name: _workload(chance, name, names, rig) for name in names}
    return {"workloads": workloads}, rig


def _host(chance: random.Random, number: int) -> Json:
    if chance.random() < 0.1:
        return {
            "name": f"spark{number}",
            "gpus": [{"model": "dgx-spark"}],
            "ram_gib": chance.choice((24, 128)),
        }
    cards: list[Json] = [
        {"model": chance.choice(CARDS), "count": chance.randint(1, 2)}
        for _ in range(chance.choice((1, 1, 2)))
    ]
    if cards[0]["count"] == 2 and chance.random() < 0.5:
        cards[0]["nvlink"] = [[0, 1]]
    if chance.random() < 0.3:
        cards[-1]["foreign_mib"] = chance.choice((500, 5000))
    host: Json = {"name": f"host{number}", "gpus": cards, "ram_gib": chance.choice((16, 48, 256))}
    if chance.random() < 0.4:
        host["psu_watts"] = chance.choice((400, 800, 1600))
    return host


def _workload(chance: random.Random, name: str, names: list[str], rig: Json) -> Json:
    others = [each for each in names if each != name]
    kind = chance.randrange(5)
    if kind < 3:
        model, quant = chance.choice(MODELS)
        entry: Json = {"service": "llama.cpp", "model": model, "quant": quant}
        entry |= chance.choice(
            (
                {},
                {"context": {"want": 16384, "min": 8192}},
                {"offload": True},
                {"parallel": {"want": 4, "min": 1}},
            )
        )
    elif kind == 3:
        entry = {
            "service": "container",
            "image": "example.org/x:1",
            "vram_mib": chance.choice((0, 2000, 9000, 20000)),
        }
    else:
        entry = chance.choice(
            (
                {"service": "nextcloud"},
                {"service": "comfyui"},
                {"service": "whisper", "model": "whisper-small", "quant": "int8"},
            )
        )
        entry = dict(entry)
    entry["priority"] = chance.choice((20, 50, 50, 90))
    limits = chance.choice(
        ({}, {}, {}, {"count": 2}, {"count": 1}, {"host": rig["hosts"][0]["name"]}, {"exclusive": True})
    )
    if limits and not (limits.get("count") == 2 and entry["service"] == "whisper"):
        entry["gpus"] = dict(limits)
    if chance.random() < 0.2:
        entry["apart_from"] = [chance.choice(others)]
    # Only the last displaces, so that no job displaces a job.
    if name == names[-1] and chance.random() < 0.7:
        entry |= {"displaces": chance.sample(others, chance.randint(1, 2)), "when": "01:00-05:00"}
    return entry


def shuffled(node: Any, chance: random.Random) -> Any:
    """The same, with the keys of every mapping in another order."""
    if isinstance(node, dict):
        keys = list(node)
        chance.shuffle(keys)
        return {key: shuffled(node[key], chance) for key in keys}
    return [shuffled(each, chance) for each in node] if isinstance(node, list) else node


class Asking:
    """Asks `labctl place` about generated files; for suggestions, which solve it anew, there are other tests."""

    def __init__(self, place: Command, folder: Path) -> None:
        self._place, self._folder = place, folder

    def __call__(self, workloads: Json, rig: Json, *options: str) -> str:
        """stdout."""
        paths = [self._folder / "workloads.yaml", self._folder / "rig.yaml"]
        for path, content in zip(paths, (workloads, rig), strict=True):
            path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        said = self._place(str(paths[0]), "--rig", str(paths[1]), "--json", *options)
        assert said.code in (0, 3), said.out
        return said.out


@pytest.fixture
def asking(place: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    monkeypatch.setattr("labctl.cli.place_answer._suggested", lambda _: {})
    return Asking(place, tmp_path)


def oversubscribed(asking: Asking, seed: int) -> list[str]:
    workloads, rig = files(seed)
    return complaints(json.loads(asking(workloads, rig)), workloads, rig)


def hangs_on_the_order(asking: Asking, seed: int) -> bool:
    """Of workloads and hosts. The order of cards says which slot each is in, so it stays."""
    workloads, rig = files(seed)
    chance = random.Random(-seed)
    turned = {**rig, "hosts": chance.sample(rig["hosts"], len(rig["hosts"]))}
    one = json.loads(asking(workloads, rig))
    other = json.loads(asking(shuffled(workloads, chance), shuffled(turned, chance)))
    for document in (one, other):
        document["gpus"].sort(key=lambda card: card["uuid"])
        for each in document["unplaced"]:
            each["refusals"].sort(key=lambda refusal: (refusal["host"], refusal["gpu"] or ""))
    return bool(one != other)


def test_nothing_is_oversubscribed(asking: Asking) -> None:
    found = {seed: oversubscribed(asking, seed) for seed in SEEDS}
    assert not {seed: wrong for seed, wrong in found.items() if wrong}


def test_the_order_in_the_files_is_of_no_matter(asking: Asking) -> None:
    assert not [seed for seed in SEEDS[:12] if hangs_on_the_order(asking, seed)]


def test_the_same_question_has_the_same_answer_to_the_byte(asking: Asking) -> None:
    for seed in SEEDS[:6]:
        assert asking(*files(seed)) == asking(*files(seed))


def test_the_problem_that_is_written_has_the_tiers_of_the_answer(asking: Asking, tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    for seed in SEEDS[:8]:
        document = json.loads(asking(*files(seed), "--problem", str(path)))
        text = path.read_text(encoding="utf-8")
        problem = load(text, path.name)
        assert dump(problem) == text
        values = json.loads(json.dumps([tier.value for tier in solve(problem).tiers]))
        assert values == [tier["value"] for tier in document["tiers"]], seed


def test_another_solver_finds_nothing_better(asking: Asking, tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    for seed in SEEDS[8:14]:
        document = json.loads(asking(*files(seed), "--problem", str(path)))
        assert tier_values(path.read_text(encoding="utf-8")) == [
            tier["value"] for tier in document["tiers"]
        ], seed


Plant = Callable[[pytest.MonkeyPatch], None]


def forget_time_sharing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(solver_instance, "may_share", lambda *_: True)


def overlook_what_cards_draw(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(build, "gpu_watts", lambda _: 0)


def count_no_foreign_process(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("labctl.rig.rig.Card.usable_mib", property(lambda card: card.memory_mib))


@pytest.mark.parametrize("plant", [forget_time_sharing, overlook_what_cards_draw, count_no_foreign_process])
def test_a_planted_bug_is_seen_from_outside(
    plant: Plant, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert any(oversubscribed(asking, seed) for seed in SEEDS)


def test_first_come_first_served_is_seen(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = parsed_workloads.read_workloads

    def by_line(path: str) -> tuple[Workload, ...]:
        return tuple(replace(each, priority=1000 - each.line) for each in honest(path))

    monkeypatch.setattr("labctl.cli.place_answer.read_workloads", by_line)
    assert any(hangs_on_the_order(asking, seed) for seed in SEEDS)
