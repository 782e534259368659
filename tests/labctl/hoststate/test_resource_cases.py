"""Resources against case files: what is wanted, what was seen, the difference in words, the script; no-ops among them.

A case is JSON: `resource` (the class), `wanted` (its arguments), `seen` (packages, units, files, texts), `pending`
(packages, paths), `difference` (null, or reason and certainty) and `script` (lines, given where there is a difference).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labctl.hoststate.condition import Condition
from labctl.hoststate.observation import FileSeen, Observations, PackageSeen, UnitSeen
from labctl.hoststate.packages import PackageHealth, Packages
from labctl.hoststate.resource import Pending, Resource

_CASES = sorted((Path(__file__).parents[2] / "cases" / "resources").glob("*.json"))
_KINDS: dict[str, Any] = {"Condition": Condition, "PackageHealth": PackageHealth, "Packages": Packages}


def _resource(case: dict[str, Any]) -> Resource:
    wanted = {
        key: tuple(value) if isinstance(value, list) else value for key, value in case["wanted"].items()
    }
    resource: Resource = _KINDS[case["resource"]](**wanted)
    return resource


def _seen(resource: Resource, seen: dict[str, Any]) -> Observations:
    """What was asked for and is not in the case was not there."""
    probes = resource.probes()
    packages = {name: PackageSeen(*state) for name, state in seen.get("packages", {}).items()}
    return Observations(
        files={path: FileSeen(**state) for path, state in seen.get("files", {}).items()},
        packages={**dict.fromkeys(probes.packages), **packages},
        units={unit: UnitSeen(**state) for unit, state in seen.get("units", {}).items()},
        texts=dict(zip((key for key, _ in probes.snippets), seen.get("texts", []), strict=False)),
    )


@pytest.mark.parametrize("path", _CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = json.loads(path.read_text())
    resource = _resource(case)
    seen = _seen(resource, case["seen"])
    pending = Pending(**{key: frozenset(value) for key, value in case.get("pending", {}).items()})
    difference = resource.compare(seen, pending)
    expected = case["difference"]
    assert (difference and {"reason": difference.reason, "certainty": difference.certainty.value}) == expected
    if "script" in case:
        assert resource.action(seen).script.splitlines() == case["script"]


def test_every_kind_has_a_case_with_nothing_to_do() -> None:
    cases = [json.loads(path.read_text()) for path in _CASES]
    assert {case["resource"] for case in cases if case["difference"] is None} == set(_KINDS)
