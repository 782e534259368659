"""Cards of the catalogue that labctl carries, read without checking: the tests hold every file to the schema.

The schema's library costs more to import than the whole of a `labctl fit`, and the YAML library a tenth of it. So the
lines that these files are made of are read here; a file with any other line is left to YAML. The tests hold both
readings of every file against each other.
"""

import re
from collections.abc import Mapping
from typing import Any

from labctl.rig.gpu import Gpu, Price, Source

_LINE = re.compile(r"(  - |    )?([a-z_0-9]+):(?: (.+))?")
# Words that YAML reads as they are: nothing in them that it gives a meaning to.
_PLAIN = re.compile(r"[A-Za-z(][^#&*!|>'\"%@`{}\[\]]*")
_WORDS: Mapping[str, Any] = {"null": None, "true": True, "false": False}
_YAML_HAS_A_MEANING_FOR = {"yes", "no", "on", "off", "y", "n", "null", "true", "false"}


def gpu(values: Mapping[str, Any]) -> Gpu:
    """The card that a checked file describes."""
    price = values["price"]
    return Gpu(
        **{
            **values,
            "aliases": tuple(values["aliases"]),
            "price": Price(price["amount"], price["currency"]) if price else None,
            "sources": tuple(Source(tuple(each["covers"]), each["from"]) for each in values["sources"]),
        }
    )


def values(text: str) -> dict[str, Any] | None:
    """What a card's file says, as YAML would read it; None for a file with lines that are left to YAML."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            return None
        indent, key, written = match.groups()
        try:
            value = [] if written is None else _value(written)
        except ValueError:
            return None
        if indent is None:
            found[key] = value
        elif indent == "  - ":
            found["sources"].append({key: value})
        else:
            found["sources"][-1][key] = value
    return found


def _value(written: str) -> Any:
    """One value. Raises ValueError for what is left to YAML."""
    if written in _WORDS:
        return _WORDS[written]
    if written[0] == "[" and written[-1] == "]":
        return [_value(each) for each in written[1:-1].split(", ")] if len(written) > 2 else []
    if written[0] == "{" and written[-1] == "}":
        pairs = (each.split(": ") for each in written[1:-1].split(", "))
        return {key: _value(value) for key, value in pairs}
    if written[0] in "\"'":
        return _quoted(written)
    if written[0].isdigit():
        return float(written) if "." in written else int(written)
    if (
        not _PLAIN.fullmatch(written)
        or written.endswith(" ")
        or ": " in written
        or written.lower() in _YAML_HAS_A_MEANING_FOR
    ):
        raise ValueError(written)
    return written


def _quoted(written: str) -> str:
    mark, inside = written[0], written[1:-1]
    if len(written) < 2 or written[-1] != mark or "\\" in inside:
        raise ValueError(written)
    if mark == '"':
        if mark in inside:
            raise ValueError(written)
        return inside
    if "'" in inside.replace("''", ""):
        raise ValueError(written)
    return inside.replace("''", "'")
