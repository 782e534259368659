"""`labctl place`: which workload goes on which card, exactly, with reasons."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.options import Add, Json, Live, PowerLimit, Ram, RigFile, Without, Workloads


def place(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer reads a command
    workloads: Workloads,
    rig: RigFile = None,
    inventory: Live = None,
    problem: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the solver's whole input there.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as a page for a browser there.")
    ] = None,
    add: Add = None,
    without: Without = None,
    power_limit: PowerLimit = None,
    ram: Ram = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plan there.")] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="PLAN", help="What runs now; as little as possible moves.")
    ] = None,
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="A card of that plan was swapped for another; repeatable."),
    ] = None,
    *,
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Move what runs, if that is better.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what goes where. Exit code 3 when something has no place.

    \b
    Examples:
      labctl place workloads/home.yaml --rig workloads/rigs/dual-3090.yaml
      labctl place workloads/home.yaml --inventory inventory/home.py --json
      labctl place workloads/home.yaml --rig workloads/rigs/dual-3090.yaml --html plan.html
      labctl place workloads/home.yaml --add rtx-3090 --power-limit rtx-3090=280
      labctl place workloads/home.yaml --keep plan.json --out plan.json
      labctl place workloads/home.yaml --keep plan.json --replace GPU-5a1b=GPU-77e0 --out plan.json
    """
    from labctl.cli.assumed import Assumed
    from labctl.cli.place_answer import Asked, answer
    from labctl.cli.place_plan import PlansAsked

    what_if = Assumed(tuple(add or ()), tuple(without or ()), tuple(power_limit or ()), tuple(ram or ()))
    plans = PlansAsked(keep, tuple(replace or ()), out)
    raise typer.Exit(
        answer(Asked(workloads, rig, inventory, problem, rebalance, what_if, plans, as_json=json, html=html))
    )
