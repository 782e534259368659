"""`labctl render`: the files that a plan becomes on one host."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.options import Json


def render(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan, as `labctl place --out` writes it.")],
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", show_default=False, help="Which of the plan's hosts; needed for several."
        ),
    ] = None,
    podman: Annotated[str, typer.Option(metavar="VERSION", help="The host's, as 4.9 or 5.7.")] = "5.4",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="Write them there, not here.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show what a plan becomes on a host: Podman Quadlet and systemd units. Nothing is touched.

    \b
    Examples:
      labctl render plan.json
      labctl render plan.json --podman 4.9 --out units
    """
    from labctl.cli.render_answer import answer

    answer(plan, host, podman, out, as_json=json)
