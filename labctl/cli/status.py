"""`labctl status`: what runs on the hosts, held against what was put there."""

from typing import Annotated

import typer

from labctl.cli.options import DEFAULT_INVENTORY, Json

Hosts = Annotated[
    str,
    typer.Option("--inventory", metavar="FILE[:HOST]", help="The hosts of a pyinfra inventory, or @local."),
]


def status(
    inventory: Hosts = DEFAULT_INVENTORY,
    save_measured: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write what was measured to a new file, for `labctl fit --measured`."
        ),
    ] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what runs: state, health, memory on each card against its claim, speed, and what is not as planned.

    Exit code 0 when all is as planned, 3 when something is not, 1 when a host does not answer.

    \b
    Examples:
      labctl status
      labctl status --inventory inventory/home.py:aibox --watch
      labctl status --json
      labctl status --save-measured measured.yaml && labctl fit --measured measured.yaml
    """
    from labctl.cli.status_answer import Asked, answer

    raise typer.Exit(answer(Asked(inventory, save_measured, watch=watch, as_json=json)))
