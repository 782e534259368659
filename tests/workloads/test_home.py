"""workloads/home.yaml is the manual of its format: every key stands in it, and editors get the same rules."""

import json
import re
from pathlib import Path

from labctl.workloads.schema import Entry, Gpus, Training, json_schema

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"
HOME = (WORKLOADS / "home.yaml").read_text()


def test_every_key_stands_in_the_manual_with_a_word_about_it() -> None:
    explained = {match[1] for match in re.finditer(r"^ +([a-z_]+):.*#", HOME, flags=re.MULTILINE)}
    written = {*explained, *re.findall(r"^ +([a-z_]+):", HOME, flags=re.MULTILINE)}
    keys = {*Entry.model_fields, *Gpus.model_fields, *Training.model_fields} - {"host"}
    assert keys <= written
    assert keys - explained <= {"service", "model", "image", "env", "training", "quant"}


def test_editors_get_the_rules_that_labctl_checks_with() -> None:
    committed = json.loads((WORKLOADS / "workloads.schema.json").read_text())
    assert committed == json_schema(), "write it anew with `make schema`"
