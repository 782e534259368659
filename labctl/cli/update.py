"""`labctl update`: what only moves when asked to."""

from typing import Annotated

import typer

from labctl.cli import options
from labctl.cli.options import DEFAULT_INVENTORY, Inventory, Json, Limit, Verbosity


def update(
    what: Annotated[str, typer.Argument(metavar="host", help="Kernel and driver of the hosts.")],
    inventory: Inventory = DEFAULT_INVENTORY,
    limit: Limit = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Move kernel, headers and NVIDIA's driver of a host together; nothing else ever moves them.

    What would move is shown, and asked about. The driver's module is built for the new kernel before that is installed:
    one that does not build leaves everything as it is, exit code 1. Then the host reboots, unless
    nvidia_driver.reboot is False, and what runs is held against what was to come.

    \b
    Examples:
      labctl update host
      labctl update host --limit aibox --yes
      labctl update host @local
    """
    from labctl.cli.update_answer import Asked, answer

    asked = Asked(what, inventory, options.comma_separated(limit), yes=yes, as_json=json, verbosity=verbosity)
    raise typer.Exit(answer(asked))
