"""YAML text in, a checked value out; what is wrong is told with its line."""

from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from labctl.errors import BadInput

Value = TypeVar("Value")
_FOUND_CHARACTERS = 60
_KEY_IS_MISSING = ("missing", "missing_argument")


Path = tuple[str | int, ...]


def read(text: str, where: str, schema: type[Value]) -> Value:
    """As `read_located`, for a caller that finds nothing more to say about lines."""
    return read_located(text, where, schema)[0]


def read_located(text: str, where: str, schema: type[Value]) -> tuple[Value, Callable[[Path], int]]:
    """The document `text` as a `schema` (a dataclass or pydantic model), and what line a path of it stands on.

    where: the file, for messages.

    Raises BadInput, with line and key, for text that is no YAML, a key that stands twice, or a value that does not fit.
    """
    node, value = _parse(text, where)
    try:
        return TypeAdapter(schema).validate_python(value), lambda path: _line_of(node, list(path))
    except ValidationError as error:
        raise _explained(error, node, where) from error


def _parse(text: str, where: str) -> tuple[yaml.Node, object]:
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise BadInput("the file is empty", where=where, expected="a mapping")
        _refuse_duplicates(node, where)
        return node, loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        raise BadInput(
            "not YAML: a character that no text has", where=where, found=f"position {error.position}"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise BadInput(
            f"not YAML: {error.problem or error.context}",
            where=f"{where}:{line}",
            hint="mind the indentation, and quote values that hold a colon",
        ) from error
    finally:
        loader.dispose()


def _refuse_duplicates(node: yaml.Node, where: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _refuse_duplicates(each, where)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise BadInput(
                    f"`{key.value}` stands twice",
                    where=f"{where}:{line}",
                    found=f"the first in line {seen[key.value]}",
                    hint="keep one of them",
                )
            seen[key.value] = line
            _refuse_duplicates(value, where)


def _explained(error: ValidationError, node: yaml.Node, where: str) -> BadInput:
    first = _most_telling(error)
    path = _written(node, first["loc"], ends_in_key=first["type"] in _KEY_IS_MISSING)
    line = _line_of(node, path)
    dotted = ".".join(str(part) for part in path)
    if first["type"] in _KEY_IS_MISSING:
        return BadInput(
            "a key is missing",
            where=f"{where}:{line}",
            expected=f"`{dotted}`",
            hint="add it; null if unknown",
        )
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return BadInput(f"unknown key `{dotted}`", where=f"{where}:{line}", hint="is it misspelt?")
    if first["type"] in ("model_type", "dataclass_type", "dict_type"):
        return BadInput(
            f"`{dotted}`: not a mapping" if dotted else "not a mapping",
            where=f"{where}:{line}",
            found=_shortened(first["input"]),
            expected="`key: value` lines",
        )
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error":
        choices = [
            each["ctx"]["expected"]
            for each in error.errors(include_url=False)
            if each["type"] == "literal_error"
        ]
        message = f"not one of {', '.join(choices).replace(' or ', ', ')}"
    return BadInput(
        f"`{dotted}`: {message}" if dotted else message,
        where=f"{where}:{line}",
        found=_shortened(first["input"]),
    )


def _shortened(value: object) -> str:
    found = repr(value)
    return found if len(found) <= _FOUND_CHARACTERS else found[: _FOUND_CHARACTERS - 1] + "…"


def _most_telling(error: ValidationError) -> ErrorDetails:
    """Of several ways to write a value, the one that was meant: that with something else wrong than its type."""
    details = error.errors(include_url=False)
    at = details[0]["loc"][:-1]
    same = [each for each in details if each["loc"][: len(at)] == at]
    return next((each for each in same if not each["type"].endswith("_type")), details[0])


def _written(node: yaml.Node, location: Path, *, ends_in_key: bool) -> list[str | int]:
    """A path as it stands in the file: without the names that pydantic gives to alternatives and validators."""
    path: list[str | int] = []
    for number, part in enumerate(location):
        is_key = isinstance(node, yaml.MappingNode) and any(key.value == str(part) for key, _ in node.value)
        is_index = isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        if is_key or is_index:
            node = (
                next(value for key, value in node.value if key.value == str(part))
                if is_key
                else node.value[part]
            )
            path.append(part)
        elif ends_in_key and number == len(location) - 1:
            path.append(part)
    return path


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
