"""`labctl start|stop|restart|logs`: one workload at a time, by hand."""

from typing import Annotated

import typer

from labctl.cli.options import DEFAULT_INVENTORY, Json
from labctl.cli.status import Hosts

Names = Annotated[
    list[str], typer.Argument(metavar="NAME…", help="Workloads, as `labctl status` lists them.")
]


def start(names: Names, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Start workloads that are in force, with all of their containers, and wait until they are healthy.

    What runs already is left as it is. Exit code 1 when one does not come up, 3 when it stepped aside for a job.

    \b
    Examples:
      labctl start chat
      labctl start chat ui --inventory inventory/home.py:aibox
    """
    from labctl.cli.control_answer import answer

    raise typer.Exit(answer("start", tuple(names), inventory, as_json=json))


def stop(names: Names, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Stop workloads, with all of their containers, until they are started again, or the next apply or boot.

    Their data stays. Says who uses what is stopped.

    \b
    Example:
      labctl stop chat
    """
    from labctl.cli.control_answer import answer

    raise typer.Exit(answer("stop", tuple(names), inventory, as_json=json))


def restart(names: Names, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Stop workloads and start them again, and wait until they are healthy.

    \b
    Example:
      labctl restart chat
    """
    from labctl.cli.control_answer import answer

    raise typer.Exit(answer("restart", tuple(names), inventory, as_json=json))


def logs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A workload, as `labctl status` lists them.")],
    inventory: Hosts = DEFAULT_INVENTORY,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", metavar="N", min=0, help="The last N; 50, or all with --since."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help='From then on, as "1 hour ago", today or 12:00.')
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
) -> None:
    """Show what a workload wrote, the lines of its other containers with their names. Secrets are masked.

    \b
    Examples:
      labctl logs chat --follow
      labctl logs nextcloud --since "1 hour ago" --inventory inventory/home.py:aibox
    """
    from labctl.cli.logs_answer import Asked, answer

    raise typer.Exit(answer(Asked(name, inventory, lines, since, follow=follow)))
