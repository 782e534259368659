"""What users of other tools complain of, each as a case file with the outcome that would have helped them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house_rules.tree import ROOT
from tests.labctl.cli.fit_command import Command
from tests.labctl.cli.place_checker import complaints

Json = dict[str, Any]
FOLDER = ROOT / "tests" / "cases" / "place" / "complaints"
CASES: dict[str, Json] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))
}
OF_PLACING = [name for name, case in CASES.items() if "rig" in case]
OF_ESTIMATING = [name for name, case in CASES.items() if "fit" in case]


def test_every_case_is_read() -> None:
    assert len(OF_PLACING) + len(OF_ESTIMATING) == len(CASES) > 20


@pytest.mark.parametrize("name", OF_ESTIMATING)
def test_a_complaint_about_an_estimate(name: str, fit: Command) -> None:
    case = CASES[name]
    assert set(case) == {"source", "complaint", "fit", "expect"}
    memory = fit(*case["fit"], "--json").document["memory"]
    for key, (least, most) in case["expect"].items():
        assert least <= memory[key] <= most, memory


@pytest.mark.parametrize("name", OF_PLACING)
def test_a_complaint_about_a_place(name: str, place: Command, tmp_path: Path) -> None:
    case = CASES[name]
    assert set(case) == {"source", "complaint", "workloads", "rig", "expect"}
    files = []
    for key in ("workloads", "rig"):
        written = case["rig"] if key == "rig" else {key: case[key]}
        files.append(tmp_path / f"{key}.yaml")
        files[-1].write_text(yaml.safe_dump(written, sort_keys=False, allow_unicode=True), encoding="utf-8")
    said = place(str(files[0]), "--rig", str(files[1]), "--json")
    document, expect = said.document, case["expect"]
    assert (said.code, "error" in document) == (expect["code"], False), document
    assert complaints(document, {"workloads": case["workloads"]}, case["rig"]) == []
    assert document["optimal"]
    missed = unmet(document, expect)
    assert not missed, "\n".join([*missed, said.out])


def unmet(document: Json, expect: Json) -> list[str]:
    """Which expectations of a case an answer does not meet.

    placed: per workload any of gpus (exactly these), not_on, count, variant (these keys), memory_mib ([least, most] of
    each card, or of each by its name), host_memory_mib ([least, most]), tokens_per_second (the least).
    unplaced: per workload, per card, the reason. together, apart: pairs of workloads.
    """
    placed = {each["workload"]: each for each in document["placements"]}
    unplaced = {each["workload"]: each for each in document["unplaced"]}
    known = {"code", "placed", "unplaced", "together", "apart"}
    missed = [f"no such expectation: {key}" for key in set(expect) - known]
    for name, wanted in expect.get("placed", {}).items():
        missed += [f"{name}: {each}" for each in _placed_otherwise(placed.get(name), wanted)]
    for name, reasons in expect.get("unplaced", {}).items():
        if name not in unplaced:
            missed.append(f"{name} is placed")
            continue
        said = {refusal["gpu"]: refusal["reason"] for refusal in unplaced[name]["refusals"]}
        missed += [
            f"{name}: {card}: {said.get(card)}, expected {reason}"
            for card, reason in reasons.items()
            if said.get(card) != reason
        ]
    for key in ("together", "apart"):
        for one, other in expect.get(key, []):
            shared = set(placed[one]["gpus"]) & set(placed[other]["gpus"])
            if bool(shared) != (key == "together"):
                missed.append(f"{one} and {other} are not {key}")
    return missed


def _placed_otherwise(found: Json | None, wanted: Json) -> list[str]:
    if found is None:
        return ["has no place"]
    claims: dict[str, int] = found["memory_mib"]
    for key, expected in wanted.items():
        match key:
            case "gpus":
                right = found["gpus"] == expected
            case "not_on":
                right = set(found["gpus"]).isdisjoint(expected)
            case "count":
                right = len(found["gpus"]) == expected
            case "variant":
                right = {each: found["variant"].get(each) for each in expected} == expected
            case "memory_mib":
                ranges = expected if isinstance(expected, dict) else dict.fromkeys(claims, expected)
                right = set(ranges) == set(claims) != set() and all(
                    least <= claims[card] <= most for card, (least, most) in ranges.items()
                )
            case "host_memory_mib":
                right = expected[0] <= found["host_memory_mib"] <= expected[1]
            case "tokens_per_second":
                right = (found["tokens_per_second"] or 0) >= expected
            case _:
                return [f"no such expectation: {key}"]
        if not right:
            return [f"{key} should be {expected}"]
    return []
