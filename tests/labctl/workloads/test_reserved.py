"""No workload has the name of a unit of labctl's own, whatever units there will be."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.workloads.reserved import PATTERN
from labctl.workloads.schema import json_schema
from labctl.workloads.workloads_file import parse

ROOT = Path(__file__).parents[3]
# Units, and what units, containers and accounts are called before a dot, an instance or a number follows.
_NAME = re.compile(r"labctl-([a-z][a-z-]*)(@|\*)?(\.service|\.timer|\.target|\.path|\.socket)?")
_UNIT_FILE = re.compile(r"labctl-(.+?)@?\.(service|timer|target|path|socket)(\.j2)?")


def unit_files() -> Iterator[str]:
    for folder in ("roles", "labctl"):
        for path in (ROOT / folder).rglob("labctl-*"):
            if found := _UNIT_FILE.fullmatch(path.name):
                yield found[1]


def said_in_code() -> Iterator[str]:
    for folder in ("roles", "labctl"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                if found := _NAME.fullmatch(text):
                    yield found[1] + "1" if found[1].endswith("-") else found[1]


def refusal(name: str) -> BadInput | None:
    text = f"workloads:\n  {name}:\n    service: open-webui\n"
    try:
        parse(text, "home.yaml", catalog.service, catalog.service_names())
    except BadInput as refused:
        return refused
    return None


def test_the_units_are_found() -> None:
    assert {"firewall", "cdi", "gpu-metrics", "prune-images", "transaction-recover", "transaction"} <= {
        *unit_files()
    }
    assert {"gpu-power", "gpu-tuning", "apt", "models", "firewall-undo", "models-1"} <= {*said_in_code()}


@pytest.mark.parametrize("name", sorted({*unit_files(), *said_in_code(), "gpu-power-resume", "models-0a1b"}))
def test_a_name_of_our_own_is_refused_where_it_stands(name: str) -> None:
    refused = refusal(name)
    assert refused is not None
    assert refused.where == f"home.yaml:2: {name}"
    assert "labctl itself" in refused.message


@pytest.mark.parametrize(
    "name", ["firewalls", "my-cdi", "apt-cacher", "modelserver", "check-mk", "gpu", "home-power"]
)
def test_others_are_not(name: str) -> None:
    assert refusal(name) is None


def test_editors_are_told() -> None:
    (names,) = (json_schema()["properties"]["workloads"]["propertyNames"],)
    assert json.dumps(names) == json.dumps({"not": {"pattern": PATTERN}})
