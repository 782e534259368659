"""The quick reading of the carried cards: as YAML reads them, or left to it."""

import pytest
import yaml

from labctl.edges import catalog
from labctl.rig import carried

TEXTS = {
    name: (catalog.ROOT / "gpus" / f"{name}.yaml").read_text(encoding="utf-8") for name in catalog.gpu_names()
}


@pytest.mark.parametrize("name", TEXTS)
def test_it_reads_what_yaml_reads(name: str) -> None:
    by_yaml = yaml.load(TEXTS[name], Loader=yaml.CSafeLoader)
    quickly = carried.values(TEXTS[name])
    assert quickly is None or quickly == by_yaml
    if quickly is not None:
        assert [type(value) for value in quickly.values()] == [type(value) for value in by_yaml.values()]


def test_hardly_any_is_left_to_yaml() -> None:
    """Notes of several lines are."""
    assert [name for name, text in TEXTS.items() if carried.values(text) is None] == ["tesla-p40"]


@pytest.mark.parametrize(
    "line",
    [
        "a: &b 1", "a: *b", "a: !t 1", "a: |", "a: >-", "a: 1_000", "a: 0x10", "a: 1:30", "a: 'it's'", 'a: "b\\n"',
        "a: yes", "a: On", "a: b # c", "a: b: c", "a: 2026-11-21", "a: 1e3", "  a: 1", "- a", "a: {b: {c: 1}}",
        "a: [b, [c]]", "a: ~", "a: -1", "a: .5", "# a", "", "a:  b", "a: b ", "a: %b", "a: @b", "a: 'b", "a: [b",
    ],
)  # fmt: skip
def test_what_it_does_not_know_is_left_to_yaml(line: str) -> None:
    found = carried.values(f"{line}\n")
    try:
        by_yaml = yaml.load(f"{line}\n", Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        by_yaml = "no YAML"
    assert found is None or found in ({}, by_yaml)
