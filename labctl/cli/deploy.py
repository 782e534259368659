"""`labctl deploy`, `check`, `verify` and `doctor`: pyinfra and pytest, with exit codes that tell the truth."""

from typing import TYPE_CHECKING

import typer

from labctl.cli import options
from labctl.cli.options import DEFAULT_INVENTORY, Data, Inventory, Json, Limit, Only, Skip, Verbosity

if TYPE_CHECKING:
    from labctl.edges.events import Mode


def deploy(  # noqa: PLR0913 - one parameter per option is how typer reads a command
    inventory: Inventory = DEFAULT_INVENTORY,
    only: Only = None,
    skip: Skip = None,
    limit: Limit = None,
    data: Data = None,
    *,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Make every host of the inventory what its roles say; what is already so is left alone.

    \b
    Examples:
      labctl deploy
      labctl deploy --limit aibox --only base,firewall
      labctl deploy @local
    """
    _perform("deploy", inventory, only, skip, limit, data, json=json, verbosity=verbosity)


def check(  # noqa: PLR0913 - as above
    inventory: Inventory = DEFAULT_INVENTORY,
    only: Only = None,
    skip: Skip = None,
    limit: Limit = None,
    data: Data = None,
    *,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Say what a deploy would change and why; change nothing. Exit code 3 when there is something.

    \b
    Examples:
      labctl check
      labctl check inventory/home.py --only firewall --json
    """
    _perform("check", inventory, only, skip, limit, data, json=json, verbosity=verbosity)


def verify(  # noqa: PLR0913 - as above
    inventory: Inventory = DEFAULT_INVENTORY,
    only: Only = None,
    skip: Skip = None,
    limit: Limit = None,
    data: Data = None,
    *,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Prove on the hosts themselves that every role works. Exit code 3 when a check fails.

    \b
    Examples:
      labctl verify
      labctl verify --limit aibox --only firewall
    """
    _perform("verify", inventory, only, skip, limit, data, json=json, verbosity=verbosity)


def doctor(  # noqa: PLR0913 - as above
    inventory: Inventory = DEFAULT_INVENTORY,
    only: Only = None,
    skip: Skip = None,
    limit: Limit = None,
    data: Data = None,
    *,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Run the checks of `labctl verify`, and say of each that fails why, and what to do. Changes nothing.

    Exit code 0 when all is well, 3 when a check fails, 1 when a host could not be asked.

    \b
    Examples:
      labctl doctor
      labctl doctor @local
      labctl doctor inventory/home.py --limit aibox --only nvidia_driver --json
    """
    _perform("doctor", inventory, only, skip, limit, data, json=json, verbosity=verbosity)


def _perform(  # noqa: PLR0913 - as above
    mode: "Mode",
    inventory: str,
    only: list[str] | None,
    skip: list[str] | None,
    limit: list[str] | None,
    data: list[str] | None,
    *,
    json: bool,
    verbosity: int,
) -> None:
    from labctl.cli.show import show_run
    from labctl.edges.deploy_request import DeployRequest
    from labctl.edges.deploy_runner import run

    request = DeployRequest(
        mode=mode,
        inventory=inventory,
        only=options.comma_separated(only),
        skip=options.comma_separated(skip),
        limit=options.comma_separated(limit),
        data=options.key_values(data),
        verbosity=verbosity,
    )
    raise typer.Exit(show_run(mode, inventory, run(request), as_json=json, verbosity=verbosity))
