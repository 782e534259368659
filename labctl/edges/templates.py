"""A role's templates: jinja2, where a name that is not given is an error and never an empty string."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(role_file: str, name: str, **values: object) -> str:
    """Return `templates/NAME.j2` beside `role_file` (a role's `__file__`) with `values` filled in."""
    return (
        _environment(str(Path(role_file).resolve().parent / "templates"))
        .get_template(name + ".j2")
        .render(values)
    )


@cache
def _environment(folder: str) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(  # noqa: S701 - configuration files, not HTML: escaping would break them
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
