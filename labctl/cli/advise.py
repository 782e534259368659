"""`labctl advise`: which cards to buy so that everything fits."""

from typing import Annotated

import typer

from labctl.cli.options import Add, Json, Live, PowerLimit, Ram, RigFile, Without, Workloads


def advise(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer reads a command
    workloads: Workloads,
    rig: RigFile = None,
    inventory: Live = None,
    budget: Annotated[
        str | None, typer.Option(metavar="AMOUNT[CURRENCY]", help="What may be spent, as 800USD.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="GPU=AMOUNT", help="What you can have a card for, as rtx-3090=750; repeatable."),
    ] = None,
    add: Add = None,
    without: Without = None,
    power_limit: PowerLimit = None,
    ram: Ram = None,
    *,
    json: Json = False,
) -> None:
    """Say which cards of the catalogue make everything fit, the cheapest first. Exit code 3 when none do.

    Up to four of one card, within the host's slots (`pcie_slots` of the rig file) and power supply, if need be with
    lower power limits or in place of what is there; and what a larger power supply would allow.

    \b
    Examples:
      labctl advise workloads/home.yaml --rig workloads/rigs/super-budget.yaml --ram 64
      labctl advise workloads/home.yaml --budget 800USD --price rtx-3090=750 --json
    """
    from labctl.cli.advise_answer import Asked, answer
    from labctl.cli.assumed import Assumed

    what_if = Assumed(tuple(add or ()), tuple(without or ()), tuple(power_limit or ()), tuple(ram or ()))
    asked = Asked(workloads, rig, inventory, budget, tuple(price or ()), what_if, as_json=json)
    raise typer.Exit(answer(asked))
