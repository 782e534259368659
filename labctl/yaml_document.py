"""YAML text in, a checked value out; what is wrong is told with its line.

Of YAML only what people write by hand: no aliases, no tags, no deep nesting. A few lines of aliases that repeat aliases
are gigabytes once they are read, and a few thousand brackets end the parser, and the process with it.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from labctl.errors import BadInput

Value = TypeVar("Value")
Path = tuple[str | int, ...]
_FOUND_CHARACTERS = 60
_KEY_IS_MISSING = ("missing", "missing_argument")
_KEY_IS_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MAPPING = "a mapping of keys to values"
# What pydantic calls the kinds of values, and what people do.
_KINDS = {
    "int_type": "a whole number", "int_from_float": "a whole number", "int_parsing_size": "a smaller whole number",
    "float_type": "a number", "finite_number": "a finite number", "bool_type": "true or false", "string_type": "text",
    "list_type": "a list", "tuple_type": "a list", "dict_type": _MAPPING, "mapping_type": _MAPPING,
    "model_type": _MAPPING, "dataclass_type": _MAPPING,
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "more than {}"), "greater_than_equal": ("ge", "{} or more"),
    "less_than": ("lt", "less than {}"), "less_than_equal": ("le", "{} or less"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "{} of them at most"),
    "string_too_short": ("min_length", "{} letters or more"),
}  # fmt: skip
# The files that labctl reads are nested six deep.
_MOST_NESTED = 32


def read(text: str, where: str, schema: type[Value], forms: Mapping[str, str] | None = None) -> Value:
    """As `read_located`, for a caller that finds nothing more to say about lines."""
    return read_located(text, where, schema, forms)[0]


def read_located(
    text: str, where: str, schema: type[Value], forms: Mapping[str, str] | None = None
) -> tuple[Value, Callable[[Path], int]]:
    """The document `text` as a `schema` (a dataclass or pydantic model), and what line a path of it stands on.

    where: the file, for messages. forms: what a pattern of the schema asks for, in words.

    Raises BadInput, with line and key, for text that is no YAML, a key that stands twice, or a value that does not fit.
    """
    node, value = _parse(text, where)
    adapter = TypeAdapter(schema)
    try:
        return adapter.validate_python(value), lambda path: _line_of(node, list(path))
    except ValidationError as error:
        first = _most_telling(error)
        path = _written(node, first)
        known = _keys(adapter.json_schema(), path)
        raise _explained(error, first, path, f"{where}:{_line_of(node, path)}", known, forms or {}) from error


def _parse(text: str, where: str) -> tuple[yaml.Node, object]:
    try:
        loader = yaml.CSafeLoader(text)
    except yaml.YAMLError as error:  # characters that no YAML may hold
        raise _not_text(error, text, where) from error
    try:
        _refuse_what_nobody_writes(text, where)
        node = loader.get_single_node()
        if node is None:
            raise BadInput("the file is empty", where=where, expected="a mapping")
        _refuse_duplicates(node, where)
        return node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BadInput(
            f"not YAML: {error.problem or error.context}",
            where=f"{where}:{line}",
            hint="mind the indentation, and quote values that hold a colon",
        ) from error
    except yaml.reader.ReaderError as error:
        raise _not_text(error, text, where) from error
    except ValueError as error:  # 2026-13-45 is tried as a date
        raise BadInput(f"a value cannot be read: {error}", where=where, hint="quote it") from error
    finally:
        loader.dispose()


def _not_text(error: yaml.YAMLError, text: str, where: str) -> BadInput:
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
    return BadInput(
        "a character that YAML does not allow", where=f"{where}:{line}", hint="is it a text file? Take it out"
    )


def _refuse_what_nobody_writes(text: str, where: str) -> None:
    """Goes by the parser's events, which are read one by one: nothing is built yet."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        found = hint = None
        # Without anchors there are no aliases either.
        if getattr(event, "anchor", None):
            found, hint = f"an anchor or alias, {event.anchor}", "write the value out where it is needed"
        elif getattr(event, "tag", None):
            found, hint = f"a tag, {event.tag}", "leave it out"
        elif depth > _MOST_NESTED:
            found, hint = f"more than {_MOST_NESTED} levels of nesting", "is a bracket left open?"
        if found:
            line = event.start_mark.line + 1
            raise BadInput("no such YAML in this file", where=f"{where}:{line}", found=found, hint=hint)


def _refuse_duplicates(node: yaml.Node, where: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_duplicates(each, where)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise BadInput("a key is no text", where=f"{where}:{line}", hint="write keys as words")
            if key.value in seen:
                raise BadInput(
                    f"`{key.value}` stands twice",
                    where=f"{where}:{line}",
                    found=f"the first in line {seen[key.value]}",
                    hint="keep one of them",
                )
            seen[key.value] = line
            _refuse_duplicates(value, where)


def _explained(
    error: ValidationError,
    first: ErrorDetails,
    path: list[Any],
    where: str,
    known: Iterable[str],
    forms: Mapping[str, str],
) -> BadInput:
    dotted = ".".join(str(part) for part in path)
    if first["type"] in _KEY_IS_MISSING:
        return BadInput(
            "a key is missing",
            where=where,
            expected=f"`{dotted}`",
            hint="add it; null if unknown",
        )
    if first["type"] in _KEY_IS_UNKNOWN:
        near = get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
        return BadInput(
            f"unknown key `{dotted}`",
            where=where,
            expected=None if near else ", ".join(known),
            hint=f"did you mean `{near[0]}`?" if near else "take it out",
        )
    message, expected, hint = _told(error, first, forms)
    return BadInput(
        f"`{dotted}`: {message}" if dotted else message,
        where=where,
        found=_shown(first["input"]),
        expected=expected,
        hint=hint,
    )


def _shown(found: Any) -> str:
    # A rule over several keys names them itself; the whole mapping would only bury that.
    if isinstance(found, dict):
        return ""
    text = "nothing" if found is None else str(found).lower() if isinstance(found, bool) else repr(found)
    return text if len(text) <= _FOUND_CHARACTERS else text[: _FOUND_CHARACTERS - 1] + "…"


def _told(
    error: ValidationError, first: ErrorDetails, forms: Mapping[str, str]
) -> tuple[str, str | None, str | None]:
    """What is wrong, what belongs there, and what to do."""
    kind, context = first["type"], first.get("ctx", {})
    details = error.errors(include_url=False)
    if kind == "literal_error":
        allowed = [each["ctx"]["expected"] for each in details if each["type"] == kind]
        choices = ", ".join(allowed).replace(" or ", ", ")
        near = get_close_matches(str(first["input"]), choices.replace("'", "").split(", "), n=1)
        return "not one of the words for it", choices, f"did you mean {near[0]}?" if near else None
    if kind in _KINDS:
        at = first["loc"][:-1]
        here = [each for each in details if each["loc"][: len(at)] == at and each["input"] == first["input"]]
        kinds = dict.fromkeys(_KINDS[each["type"]] for each in here if each["type"] in _KINDS)
        return "not what belongs here", " or ".join(kinds), None
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        whole = isinstance(bound, float) and bound.is_integer()
        return "out of bounds", words.format(int(bound) if whole else bound), None
    if kind == "string_pattern_mismatch":
        return "not of the form that belongs here", forms.get(context["pattern"], context["pattern"]), None
    return first["msg"].removeprefix("Value error, "), None, None


def _most_telling(error: ValidationError) -> ErrorDetails:
    """Of several ways to write a value, the one that was meant: that with something else wrong than its type."""
    details = error.errors(include_url=False)
    at = details[0]["loc"][:-1]
    same = [each for each in details if each["loc"][: len(at)] == at]
    return next((each for each in same if not each["type"].endswith("_type")), details[0])


def _written(node: yaml.Node, wrong: ErrorDetails) -> list[Any]:
    """A path as it stands in the file: without the names that pydantic gives to alternatives and validators."""
    path: list[Any] = []
    last = len(wrong["loc"]) - 1
    for number, part in enumerate(wrong["loc"]):
        if isinstance(node, yaml.MappingNode) and any(key.value == str(part) for key, _ in node.value):
            node = next(value for key, value in node.value if key.value == str(part))
            path.append(part)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            path.append(part)
        elif number == last and wrong["type"] in (*_KEY_IS_MISSING, *_KEY_IS_UNKNOWN):
            path.append(part)
    return path


def _keys(schema: dict[str, Any], path: Iterable[int | str]) -> tuple[str, ...]:
    """The keys that the mapping which holds `path` may have, by a JSON schema; none where that is not one mapping."""
    definitions = schema.get("$defs", {})
    here: dict[str, Any] = schema
    for part in (*path, None):
        if "anyOf" in here:
            mappings = [each for each in here["anyOf"] if "$ref" in each or "properties" in each]
            here = mappings[0] if mappings else {}
        if "$ref" in here:
            here = definitions.get(here["$ref"].rpartition("/")[2], {})
        keys = here.get("properties", {})
        if isinstance(part, int):
            here = here.get("items", {})
        elif part in keys:
            here = keys[part]
        elif named := (here.get("patternProperties") or {}):
            here = next(iter(named.values()))
        else:
            return tuple(keys)
    return ()


def _line_of(node: yaml.Node, path: list[Any]) -> int:
    """The line, from 1, of the value at `path`; of the last part of the path that exists."""
    line = node.start_mark.line
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1
