"""A plan that something damaged is rendered or refused; never is it "a bug in labctl"."""

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from labctl.errors import BadInput
from labctl.plan.plan_json import dump, load
from tests.labctl.render.cases import case_plan, rendered

_VALUES: tuple[object, ...] = (None, -1, 1.5, 10**400, "", "four", "x\ny", [], ["x"], {}, {"a": 1}, True)
_GONE = object()
_SETTINGS = ("variant", "training")
_AT_RANDOM = 100

Path = tuple[str | int, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*at, key)
        yield from paths(value[key], (*at, key))


def damaged(text: str, path: Path, value: object) -> str:
    document = json.loads(text)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if value is _GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(document)


def renders(text: str, path: Path, value: object) -> bool:
    """Whether it does; otherwise it was refused."""
    try:
        rendered(load(damaged(text, path, value)))
    except BadInput as refused:
        said = refused
    else:
        return True
    assert said.where
    assert said.hint or said.expected, said
    return False


def test_any_setting_of_a_variant_may_be_damaged() -> None:
    seen, found = set(), set()
    for name, workload in case_plan().workloads.items():
        text = dump(replace(case_plan(), workloads={name: workload}))  # alone: there are many to try
        for path in paths(json.loads(text)):
            if set(_SETTINGS).intersection(map(str, path)):
                seen.add(path[-1])
                found |= {renders(text, path, value) for value in (*_VALUES, _GONE)}
    assert seen >= {"parallel", "context", "tensor_split", "vram_mib", "rank", "optimizer"}
    assert found == {True, False}


def test_any_other_value_of_a_plan_may_be_damaged() -> None:
    random, text = Random(7), dump(case_plan())
    every = [*paths(json.loads(text))]
    found = {renders(text, random.choice(every), random.choice((*_VALUES, _GONE))) for _ in range(_AT_RANDOM)}
    assert found == {True, False}
