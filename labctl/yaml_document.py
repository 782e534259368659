"""YAML text in, a checked value out; what is wrong is told with its line."""

from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from labctl.errors import BadInput

Value = TypeVar("Value")
_FOUND_CHARACTERS = 60


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
    first = error.errors(include_url=False)[0]
    path = [part for part in first["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    line = _line_of(node, path)
    dotted = ".".join(str(part) for part in path)
    if first["type"] in ("missing", "missing_argument"):
        return BadInput(
            "a key is missing",
            where=f"{where}:{line}",
            expected=f"`{dotted}`",
            hint="add it; null if unknown",
        )
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return BadInput(f"unknown key `{dotted}`", where=f"{where}:{line}", hint="is it misspelt?")
    found = repr(first["input"])
    shortened = found if len(found) <= _FOUND_CHARACTERS else found[: _FOUND_CHARACTERS - 1] + "…"
    message = first["msg"].removeprefix("Value error, ")
    return BadInput(f"`{dotted}`: {message}" if dotted else message, where=f"{where}:{line}", found=shortened)


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
