"""JSON from a model's repository, not trusted."""

import json
from typing import Any

from labctl.errors import BadInput

MAX_CONFIG_BYTES = 4 * 1024 * 1024


def parse_object(name: str, content: bytes, most: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """A JSON object. Raises `BadInput` for anything else, or for more than `most` bytes."""
    if len(content) > most:
        raise BadInput(
            "this is too long for what it should be",
            where=name,
            found=f"{len(content)} bytes",
            expected=f"at most {most}",
        )
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            "this is no JSON", where=name, found=str(error)[:80], hint="fetch the file again"
        ) from error
    if not isinstance(value, dict):
        raise BadInput("this is no config", where=name, found=type(value).__name__, expected="an object")
    return value
