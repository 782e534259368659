"""`plan.json`: a plan as canonical JSON, and back."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from labctl.errors import SCHEMA_VERSION, BadInput
from labctl.plan.hardware import fingerprint
from labctl.plan.plan import Plan
from labctl.plan.run_settings import shown, wrong_settings
from labctl.workloads.image_name import in_full, is_full
from labctl.workloads.reserved import is_name, is_reserved

MOST_BYTES = 16 * 1024 * 1024
_HINT = "`labctl place … --out` writes it anew"


def dump(plan: Plan) -> str:
    """The same bytes for the same plan. Every key is always there."""
    document = {"schema_version": SCHEMA_VERSION, **asdict(plan)}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load(content: bytes | str, name: str = "plan.json") -> Plan:
    """The plan in a file of that name. Raises BadInput with the place, what stood there and what belongs there."""
    if len(content) > MOST_BYTES:
        raise BadInput(
            "too long for a plan", where=name, found=f"{len(content)} bytes", expected=f"at most {MOST_BYTES}"
        )
    try:
        value = json.loads(content, object_pairs_hook=_without_duplicates)
        json.dumps(value, allow_nan=False)  # 1e999 is JSON, and no number
    except _TwiceError as twice:
        raise BadInput("the same key twice", where=name, found=str(twice), hint=_HINT) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "this is no plan: it is no JSON", where=name, found=_no_json(error), hint=_HINT
        ) from error
    _check_version(value, name)
    del value["schema_version"]
    try:
        plan = _adapter().validate_json(json.dumps(value))
    except ValidationError as error:
        raise _explained(error.errors()[0], name) from error
    wrong = next(_contradictions(plan), None)
    if wrong is not None:
        place, message, found, expected = wrong
        raise BadInput(message, where=f"{name}: {place}", found=found, expected=expected, hint=_HINT)
    return plan


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def _check_version(value: object, name: str) -> None:
    if not isinstance(value, dict) or "schema_version" not in value:
        raise BadInput(
            "this is no plan",
            where=name,
            found=shown(value),
            expected="an object with schema_version",
            hint=_HINT,
        )
    version = value["schema_version"]
    if type(version) is int and version > SCHEMA_VERSION:
        raise BadInput(
            "this plan is of a newer labctl",
            where=f"{name}: schema_version",
            found=str(version),
            expected=str(SCHEMA_VERSION),
            hint="update labctl, or make the plan anew with `labctl place … --out`",
        )
    if type(version) is not int or version != SCHEMA_VERSION:
        raise BadInput(
            "no such version of a plan",
            where=f"{name}: schema_version",
            found=shown(version),
            expected=str(SCHEMA_VERSION),
            hint=_HINT,
        )


def _explained(error: ErrorDetails, name: str) -> BadInput:
    path = [str(part) for part in error["loc"] if part not in ("int", "tuple[int, ...]")]
    place = ".".join(path)
    kind = error["type"]
    if kind in ("missing", "missing_argument"):
        return BadInput("a key is missing", where=f"{name}: {place}", expected=path[-1], hint=_HINT)
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return BadInput("no such key in a plan", where=f"{name}: {place}", found=path[-1], hint=_HINT)
    expected = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return BadInput(
        "this value cannot be",
        where=f"{name}: {place}",
        found=shown(error["input"]),
        expected=expected,
        hint=_HINT,
    )


def _contradictions(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    """What types cannot say: place, message, found, expected."""
    if plan.rig.fingerprint != (right := fingerprint(plan.rig.hosts)):
        yield "rig.fingerprint", "not that of the hosts below it", plan.rig.fingerprint, right
    yield from _named_twice(plan)
    yield from _short_names(plan)
    cards = {host.name: [card.id for card in host.cards] for host in plan.rig.hosts}
    ports: dict[tuple[str, int], str] = {}
    for name, workload in sorted(plan.workloads.items()):
        place = f"workloads.{name}"
        # Files and units are called so.
        if not is_name(name):
            yield place, "no name for a workload", name, "small letters, digits and hyphens"
        elif is_reserved(name):
            yield place, "something of labctl itself has this name", name, f"another, as my-{name}"
        if workload.host not in cards:
            yield f"{place}.host", "no host of this plan", workload.host, ", ".join(sorted(cards))
            continue
        here = [card for card in cards[workload.host] if card in workload.card_ids]
        if list(workload.card_ids) != here or [each.position for each in workload.cards] != [
            *range(len(here))
        ]:
            found = ", ".join(workload.card_ids)
            yield (
                f"{place}.cards",
                "not cards of its host in PCI order",
                found,
                ", ".join(cards[workload.host]),
            )
        for port in workload.ports:
            other = ports.setdefault((workload.host, port.host), f"{name} {port.container}")
            if other != f"{name} {port.container}":
                yield (
                    f"{place}.ports",
                    "a port of the host is given out twice",
                    str(port.host),
                    f"{other} has it",
                )
        if name in plan.unplaced:
            yield f"unplaced.{name}", "placed and unplaced at once", name, "either"
    yield from wrong_settings(plan.workloads)


def _named_twice(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    hosts = [host.name for host in plan.rig.hosts]
    cards = [card.id for host in plan.rig.hosts for card in host.cards]
    for what, names in (("host", hosts), ("card", cards)):
        if twice := next((name for name in names if names.count(name) > 1), None):
            yield "rig.hosts", f"a {what} is named twice", twice, f"each {what} once"


def _short_names(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    for name, workload in sorted(plan.workloads.items()):
        if workload.image is not None and not is_full(workload.image):
            yield f"workloads.{name}.image", "a short name", workload.image, in_full(workload.image)


def _no_json(error: ValueError | RecursionError) -> str:
    """What stands in its way, and where."""
    match error:
        case json.JSONDecodeError():
            return f"{error.msg}, line {error.lineno}, column {error.colno}"
        case UnicodeDecodeError():
            return f"byte {error.start} is no {error.encoding.upper()}"
        case RecursionError():
            return "brackets in brackets without an end"
    return "a number that is none, or too long"


class _TwiceError(Exception):
    """A key that stands twice in one object."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _TwiceError(next(key for key in keys if keys.count(key) > 1))
    return value
