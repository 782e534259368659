"""`labctl apply` and `labctl rollback`: what runs on the hosts, and what ran there before."""

from typing import Annotated

import typer

from labctl.cli.options import DEFAULT_INVENTORY, Json

From = Annotated[str, typer.Option("--inventory", metavar="FILE[:HOST]", help="A pyinfra inventory.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def apply(
    plan: Annotated[
        str, typer.Argument(metavar="[PLAN]", help="A plan, as `labctl place --out` writes it.")
    ] = "plan.json",
    inventory: From = DEFAULT_INVENTORY,
    workloads: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The workloads file, for secrets in `env`: a plan holds none."),
    ] = None,
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Run a plan on its hosts. Shows what would change and asks; starts anew only what changed.

    The hosts do it by themselves: this may be cut off at any moment. A service that does not come up ends on what ran
    before, exit code 1. Exit code 3 when something on a host stands in the way: nothing is touched then, on any host.

    \b
    Examples:
      labctl apply
      labctl apply plan.json --inventory inventory/home.py:aibox --yes
      labctl apply --workloads workloads/home.yaml
    """
    from labctl.cli.apply_answer import Asked, answer

    raise typer.Exit(answer(Asked(plan, inventory, workloads, yes=yes, as_json=json)))


def rollback(
    generation: Annotated[
        int | None,
        typer.Argument(metavar="[GENERATION]", help="Which one; the one before unless said.", min=1),
    ] = None,
    inventory: From = DEFAULT_INVENTORY,
    *,
    show: Annotated[bool, typer.Option("--list", help="Show what a host can go back to.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Go back to what ran on a host before. Shows what would change and asks; data stays as it is.

    \b
    Examples:
      labctl rollback
      labctl rollback --list
      labctl rollback 3 --inventory inventory/home.py:aibox --yes
    """
    from labctl.cli.rollback_answer import Asked, answer

    raise typer.Exit(answer(Asked(generation, inventory, show=show, yes=yes, as_json=json)))
