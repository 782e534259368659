"""Templates beside the code that fills them: jinja2, where a name that is not given is an error, never empty."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render(role_file: str, name: str, **values: object) -> str:
    """Return `templates/NAME.j2` beside `role_file` (a role's `__file__`) with `values` filled in."""
    return _environment(role_file, escaped=False).get_template(name + ".j2").render(values)


def render_html(file: str, name: str, **values: object) -> str:
    """Return `templates/NAME.j2` beside `file` filled in; whatever a value holds, it is text and no markup."""
    return _environment(file, escaped=True).get_template(name + ".j2").render(values)


@cache
def _environment(file: str, *, escaped: bool) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(file).resolve().parent / "templates"),
        autoescape=escaped,  # noqa: S701 - configuration files are not HTML: escaping would break them
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
