"""`labctl gpus` and `labctl rig`: the cards of a machine as they are now, for people and as a rig file."""

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.options import Json

if TYPE_CHECKING:
    from labctl.rig.live import LiveHost

Inventory = Annotated[
    str | None,
    typer.Option(
        metavar="FILE[:HOST]", help="Hosts of a pyinfra inventory, or one of them; this machine unless said."
    ),
]


def gpus(
    inventory: Inventory = None,
    rig: Annotated[
        str | None, typer.Option(metavar="FILE", help="A rig file instead, without what only a driver tells.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Show the cards: power, memory held by our own services and by others, use, processes.

    Exit code 1 when a machine or a card does not answer; the others are shown all the same.

    \b
    Examples:
      labctl gpus
      labctl gpus --inventory inventory/home.py
      labctl gpus --inventory inventory/home.py:aibox --json
      labctl gpus --rig workloads/rigs/dual-3090.yaml
    """
    import json as json_module
    import sys

    from labctl.cli.gpus_document import gpus_document
    from labctl.cli.gpus_text import gpus_text
    from labctl.cli.terminal import colour_wanted
    from labctl.edges.rigs import read_rig
    from labctl.errors import DONE, FAILED, BadInput
    from labctl.rig.live import planned

    if inventory and rig:
        raise BadInput(
            "two machines are named",
            where="--rig",
            found="--inventory and --rig",
            hint="leave one of them out",
        )
    hosts = tuple(planned(host) for host in read_rig(rig).hosts) if rig else _hosts(inventory)
    if json:
        print(json_module.dumps(gpus_document(hosts, live=not rig), indent=2))
    else:
        print(gpus_text(hosts, colour=colour_wanted(sys.stdout.isatty())), end="")
    raise typer.Exit(FAILED if any(each.problems for each in hosts) else DONE)


def rig(inventory: Inventory = None) -> None:
    """Print the machine as a rig file, to be kept or changed; what the machine cannot tell is a comment in it.

    \b
    Examples:
      labctl rig > rig.yaml && labctl fit llama-3.1-8b --rig rig.yaml
      labctl rig --inventory inventory/home.py:aibox
    """
    from labctl.edges.machines import rig_name
    from labctl.errors import Failed
    from labctl.rig.rig import Rig
    from labctl.rig.rig_yaml import to_yaml

    hosts = _hosts(inventory)
    problems = [f"{each.host.name}: {problem}" for each in hosts for problem in each.problems]
    remarks = ["As `labctl rig` read it.", *(f"Not read: {problem}" for problem in problems)]
    print(to_yaml(Rig(rig_name(inventory, hosts), tuple(each.host for each in hosts)), remarks), end="")
    if problems:
        raise Failed("the rig is not complete", found=problems[0], hint="see the comments at its head")


def _hosts(inventory: str | None) -> "tuple[LiveHost, ...]":
    from labctl.edges.machines import of_inventory, this_machine

    return of_inventory(inventory) if inventory else (this_machine(),)
