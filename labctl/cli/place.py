"""`labctl place`: which workload goes on which card, exactly, with reasons."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.options import Json


def place(  # noqa: PLR0913 - one parameter per option is how typer reads a command
    workloads: Annotated[str, typer.Argument(metavar="WORKLOADS", help="A workloads file.")],
    rig: Annotated[
        str | None, typer.Option(metavar="FILE", help="A rig file; this machine's cards unless said.")
    ] = None,
    inventory: Annotated[
        str | None, typer.Option(metavar="FILE[:HOST]", help="The hosts of a pyinfra inventory, asked live.")
    ] = None,
    problem: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the solver's whole input there.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as a page for a browser there.")
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
    """
    from labctl.cli.place_answer import Asked, answer

    raise typer.Exit(answer(Asked(workloads, rig, inventory, problem, rebalance, as_json=json, html=html)))
