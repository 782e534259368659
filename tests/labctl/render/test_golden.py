"""Every service of the catalogue as files: tests/cases/render/NAME.txt, as Podman 5.4 takes them.

podman-4.9.diff is what an older Podman is told instead. `UPDATE_CASES=1 python -m pytest
tests/labctl/render/test_golden.py` writes all of them anew; read the diff. plan.json is made by `labctl place
tests/cases/render/workloads.yaml --rig tests/cases/render/rig.yaml --out tests/cases/render/plan.json`.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path

import pytest
import yaml

from labctl.edges import catalog
from labctl.render import podman
from labctl.render.podman import Version
from labctl.transaction.manifest import parse, problems
from tests.labctl.render.cases import CASES, by_workload, case_plan, facts, rendered, texts

UNKNOWN = yaml.safe_load((CASES / "unknown_keys.yaml").read_text())
NAMES = sorted(case_plan().workloads)


def held_against(path: Path, found: str) -> None:
    if os.environ.get("UPDATE_CASES") == "1":
        path.write_text(found)
    assert found == path.read_text()


def test_every_service_is_in_the_case() -> None:
    assert {each.service for each in case_plan().workloads.values()} == set(catalog.service_names())


@pytest.mark.parametrize("name", NAMES)
def test_the_files_of_a_workload(name: str) -> None:
    held_against(CASES / f"{name}.txt", by_workload(rendered(case_plan()))[name])


def test_the_manifest() -> None:
    manifest = rendered(case_plan()).manifest
    document = {
        "units": [asdict(each) for each in manifest.units],
        "images": [each.name for each in manifest.images],
    }
    held_against(CASES / "manifest.json", json.dumps(document, indent=1) + "\n")


def test_an_older_podman_is_told_the_same_by_arguments() -> None:
    newer, older = (texts(rendered(case_plan(), facts(each))) for each in ((5, 4), (4, 9)))
    assert list(newer) == list(older)
    changed = "".join(line for path in newer for line in _difference(path, newer[path], older[path]))
    held_against(CASES / "podman-4.9.diff", changed)


def test_a_newer_podman_is_told_the_same() -> None:
    assert rendered(case_plan(), facts((5, 7))) == rendered(case_plan())


@pytest.mark.parametrize("version", UNKNOWN)
def test_no_file_has_a_key_that_its_podman_does_not_know(version: str) -> None:
    made = rendered(case_plan(), facts(podman.version(version)))
    written = {
        each
        for path, text in texts(made).items()
        if path.startswith("units/")
        for line in text.splitlines()
        if not line.startswith("#")
        for each in (line, line.partition("=")[0])
    }
    assert written.isdisjoint(UNKNOWN[version])
    assert {"Image", "VolumeName", "NetworkName"} <= written


@pytest.mark.parametrize("version", [(4, 9), (5, 4)])
def test_the_host_would_take_the_stage(version: Version) -> None:
    made = rendered(case_plan(), facts(version))
    assert list(problems(made.manifest)) == []
    assert parse(made.manifest.text(), "manifest.json") == made.manifest
    assert [each.path for each in made.manifest.files] == list(made.files)


def _difference(path: str, before: str, after: str) -> Iterable[str]:
    return unified_diff(before.splitlines(True), after.splitlines(True), path, path, n=0)
