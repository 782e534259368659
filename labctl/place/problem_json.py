"""`problem.json`: a problem as canonical JSON, and back. What the values mean: `problem`."""

import json
from collections.abc import Mapping
from typing import Any

from labctl.errors import SCHEMA_VERSION, BadInput
from labctl.place.problem import REASONS, Card, Host, Incumbent, Option, Problem, Workload
from labctl.place.problem_check import check

MAX_PROBLEM_BYTES = 256 * 1024 * 1024


def dump(problem: Problem) -> str:
    """The same bytes for the same problem, in whatever order it was put together. Every key is always there."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "rebalance": problem.rebalance,
        "hosts": sorted((_host(each) for each in problem.hosts), key=_name),
        "cards": sorted((_card(each) for each in problem.cards), key=lambda card: str(card["id"])),
        "workloads": sorted((_workload(each) for each in problem.workloads), key=_name),
        "options": [_option(each) for each in sorted(problem.options, key=option_key)],
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def option_key(option: Option) -> tuple[Any, ...]:
    """Sorts options the same way every time: by workload, then the preferred first. Equal only for equal options."""
    return (
        option.workload,
        option.rank,
        option.host,
        len(option.claims_mib),
        sorted(option.claims_mib.items()),
        option.ram_mib,
        option.disk_mib,
        sorted(option.ports),
        option.watts,
        -(option.decitokens_per_second if option.decitokens_per_second is not None else -1),
        option.variant_id,
        json.dumps(option.variant, sort_keys=True),
    )


def load(content: bytes | str, name: str = "problem.json") -> Problem:
    """The problem in a file of that name. Raises `BadInput` with the place, what stood there and what belongs there."""
    if len(content) > MAX_PROBLEM_BYTES:
        raise BadInput(
            "this is too long",
            where=name,
            found=f"{len(content)} bytes",
            expected=f"at most {MAX_PROBLEM_BYTES}",
        )
    try:
        value = json.loads(content, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except BadInput as error:
        raise BadInput(error.message, where=name, found=error.found, expected=error.expected) from None
    except (ValueError, RecursionError) as error:
        raise BadInput("this is no JSON", where=name, found=str(error)[:80]) from error
    top = _Object(name, value)
    version = top.number("schema_version")
    if version != SCHEMA_VERSION:
        raise BadInput(
            "this is of another version",
            where=f"{name}: schema_version",
            found=str(version),
            expected=str(SCHEMA_VERSION),
        )
    problem = Problem(
        hosts=tuple(_read_host(each) for each in top.objects("hosts")),
        cards=tuple(_read_card(each) for each in top.objects("cards")),
        workloads=tuple(_read_workload(each) for each in top.objects("workloads")),
        options=tuple(_read_option(each) for each in top.objects("options")),
        rebalance=top.truth("rebalance", absent=False),
    )
    top.nothing_else()
    return check(problem, name)


def _name(entry: Mapping[str, object]) -> str:
    return str(entry["name"])


def _host(host: Host) -> dict[str, object]:
    return {**vars(host), "taken_ports": sorted(host.taken_ports)}


def _card(card: Card) -> dict[str, object]:
    return {**vars(card), "nvlink": sorted(card.nvlink)}


def _workload(workload: Workload) -> dict[str, object]:
    incumbent = workload.incumbent
    return {
        **vars(workload),
        "apart_from": sorted(workload.apart_from),
        "displaces": sorted(workload.displaces),
        "window": list(workload.window) if workload.window else None,
        "incumbent": {**vars(incumbent), "cards": sorted(incumbent.cards)} if incumbent else None,
        "barred": dict(workload.barred),
    }


def _option(option: Option) -> dict[str, object]:
    return {
        **vars(option),
        "claims_mib": dict(option.claims_mib),
        "ports": sorted(option.ports),
        "variant": dict(option.variant),
    }


def _read_host(entry: "_Object") -> Host:
    host = Host(
        name=entry.text("name"),
        ram_mib=entry.number_or_none("ram_mib"),
        disk_mib=entry.number_or_none("disk_mib"),
        psu_watts=entry.number_or_none("psu_watts"),
        watts=entry.number("watts", 0),
        taken_ports=entry.numbers("taken_ports"),
    )
    entry.nothing_else()
    return host


def _read_card(entry: "_Object") -> Card:
    card = Card(
        id=entry.text("id"),
        host=entry.text("host"),
        usable_mib=entry.number("usable_mib"),
        nvlink=entry.texts("nvlink"),
        foreign_process=entry.truth("foreign_process", absent=False),
        unified=entry.truth("unified", absent=False),
    )
    entry.nothing_else()
    return card


def _read_workload(entry: "_Object") -> Workload:
    window = entry.numbers("window")
    if len(window) not in (0, 2):
        raise entry.wrong("window", list(window), "two numbers or null")
    incumbent = entry.object_or_none("incumbent")
    barred = entry.mapping("barred")
    for card, reason in barred.items():
        if reason not in REASONS:
            raise entry.wrong(f"barred.{card}", reason, "one of " + ", ".join(REASONS))
    workload = Workload(
        name=entry.text("name"),
        priority=entry.number("priority", 50),
        load=entry.number("load", 1),
        stateful=entry.truth("stateful", absent=False),
        exclusive=entry.truth("exclusive", absent=False),
        elastic=entry.truth("elastic", absent=False),
        apart_from=entry.texts("apart_from"),
        displaces=entry.texts("displaces"),
        window=(window[0], window[1]) if window else None,
        incumbent=_read_incumbent(incumbent) if incumbent else None,
        barred=barred,
    )
    entry.nothing_else()
    return workload


def _read_incumbent(entry: "_Object") -> Incumbent:
    incumbent = Incumbent(entry.text("host"), entry.texts("cards"), entry.text("variant_id"))
    entry.nothing_else()
    return incumbent


def _read_option(entry: "_Object") -> Option:
    claims = entry.mapping("claims_mib")
    for card, claim in claims.items():
        if type(claim) is not int:
            raise entry.wrong(f"claims_mib.{card}", claim, "a whole number of MiB")
    option = Option(
        workload=entry.text("workload"),
        host=entry.text("host"),
        claims_mib=claims,
        ram_mib=entry.number("ram_mib", 0),
        disk_mib=entry.number("disk_mib", 0),
        ports=entry.numbers("ports"),
        watts=entry.number("watts", 0),
        rank=entry.number("rank", 0),
        decitokens_per_second=entry.number_or_none("decitokens_per_second"),
        variant_id=entry.text("variant_id", ""),
        variant=entry.mapping("variant"),
    )
    entry.nothing_else()
    return option


class _Object:
    """One JSON object, each key of which is taken once. where: the file, then the path in it."""

    def __init__(self, where: str, value: object) -> None:
        self._where = where
        if not isinstance(value, dict):
            raise BadInput("this is no object", where=where, found=_shown(value), expected="{…}")
        self._value: dict[str, Any] = value
        self._taken: set[str] = set()

    def text(self, key: str, absent: str | None = None) -> str:
        return str(self._take(key, absent, "text", lambda value: isinstance(value, str)))

    def number(self, key: str, absent: int | None = None) -> int:
        return int(self._take(key, absent, "a whole number", lambda value: type(value) is int))

    def number_or_none(self, key: str) -> int | None:
        return None if self._is_absent(key) else self.number(key)

    def truth(self, key: str, *, absent: bool) -> bool:
        return bool(self._take(key, absent, "true or false", lambda value: isinstance(value, bool)))

    def numbers(self, key: str) -> tuple[int, ...]:
        return tuple(self._list(key, "whole numbers", lambda value: type(value) is int))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._list(key, "texts", lambda value: isinstance(value, str)))

    def mapping(self, key: str) -> dict[str, Any]:
        value = self._take(key, {}, "an object", lambda value: isinstance(value, dict))
        return dict(value)

    def objects(self, key: str) -> list["_Object"]:
        value = self._take(key, None, "a list", lambda value: isinstance(value, list))
        return [_Object(f"{self._path(key)}[{index}]", each) for index, each in enumerate(value)]

    def object_or_none(self, key: str) -> "_Object | None":
        return None if self._is_absent(key) else _Object(self._path(key), self._value[key])

    def nothing_else(self) -> None:
        unknown = sorted(set(self._value) - self._taken)
        if unknown:
            raise BadInput(
                "this key does not exist",
                where=self._path(unknown[0]),
                expected="one of " + ", ".join(sorted(self._taken)),
            )

    def wrong(self, key: str, found: object, expected: str) -> BadInput:
        return BadInput("this value cannot be", where=self._path(key), found=_shown(found), expected=expected)

    def _path(self, key: str) -> str:
        return f"{self._where}{'.' if ': ' in self._where else ': '}{key}"

    def _is_absent(self, key: str) -> bool:
        self._taken.add(key)
        return self._value.get(key) is None

    def _list(self, key: str, expected: str, holds: Any) -> list[Any]:
        if self._is_absent(key):
            return []
        value = self._take(key, [], f"a list of {expected}", lambda value: isinstance(value, list))
        for index, each in enumerate(value):
            if not holds(each):
                raise self.wrong(f"{key}[{index}]", each, f"a list of {expected}")
        return list(value)

    def _take(self, key: str, absent: object, expected: str, holds: Any) -> Any:
        self._taken.add(key)
        if key not in self._value:
            if absent is None:
                raise BadInput("a key is missing", where=self._path(key), expected=expected)
            return absent
        if not holds(self._value[key]):
            raise self.wrong(key, self._value[key], expected)
        return self._value[key]


def _shown(value: object) -> str:
    return json.dumps(value)[:80]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadInput("the same key twice", found=twice, expected="each key once")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
