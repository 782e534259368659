"""`labctl diff`: how two plans differ, or a plan and the machines as they are."""

from typing import Annotated

import typer

from labctl.cli.options import Json


def diff(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan, as `labctl place --out` writes it.")],
    other: Annotated[
        str,
        typer.Argument(metavar="PLAN|live", help="Another plan, or `live`: the machines as they are now."),
    ],
    inventory: Annotated[
        str | None,
        typer.Option(
            metavar="FILE[:HOST]", help="live: the hosts of a pyinfra inventory; else this machine."
        ),
    ] = None,
    rig: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="live: the hardware of a rig file, and nothing that runs."),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Compare two plans, or a plan with what is there. Exit code 0 the same, 3 different.

    Against `live` it holds the hardware against the plan's, and the memory that our own services hold on each card
    against their claims: on the wrong card, none where there should be some, or more than claimed. Services that use
    no card cannot be seen that way; they are listed as not seen.

    \b
    Examples:
      labctl diff plan.json new-plan.json
      labctl diff plan.json live
      labctl diff plan.json live --inventory inventory/home.py:aibox --json
    """
    from labctl.cli.diff_answer import Asked, answer

    raise typer.Exit(answer(Asked(plan, other, inventory, rig, as_json=json)))
