"""`labctl power`: what power limits cost, tried before they are set."""

from typing import Annotated

import typer

from labctl.cli.options import Json


def power(
    inventory: Annotated[
        str | None,
        typer.Argument(
            metavar="[INVENTORY[:HOST]]", help="Hosts of a pyinfra inventory; this machine unless said."
        ),
    ] = None,
    rig: Annotated[
        str | None, typer.Option(metavar="FILE", help="A rig file instead; no card is needed.")
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="[CARD=]WATTS", help="Try a limit: of a model, a UUID, or all; repeatable."
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            metavar="WATTS", help="Try so much for all cards of a host, split where it costs least speed."
        ),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show each card's power limit, what speed it keeps, and whether the power supply carries all of them.

    With --set or --budget: as it would be. Nothing is changed; the inventory's setting that does it is printed.
    Exit code 1 when a machine or a card does not answer, 3 when the power supply would not carry what was tried.

    \b
    Examples:
      labctl power
      labctl power inventory/home.py --set rtx-3090=280
      labctl power inventory/home.py:aibox --budget 900 --json
      labctl power --rig workloads/rigs/quad-3090-epyc.yaml --budget 1000
    """
    from labctl.cli.power_answer import Asked, answer

    raise typer.Exit(answer(Asked(inventory, rig, tuple(limit or ()), budget, as_json=json)))
