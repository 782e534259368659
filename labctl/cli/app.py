"""The typer application and the options that belong to no command."""

from typing import Annotated

import typer

from labctl import __version__
from labctl.cli.advise import advise
from labctl.cli.apply import apply, rollback
from labctl.cli.control import logs, restart, start, stop
from labctl.cli.deploy import check, deploy, doctor, verify
from labctl.cli.diff import diff
from labctl.cli.fit import fit
from labctl.cli.gpus import gpus, rig
from labctl.cli.models import models
from labctl.cli.place import place
from labctl.cli.power import power
from labctl.cli.preflight import preflight
from labctl.cli.render import render
from labctl.cli.secrets import secrets_commands
from labctl.cli.services import services
from labctl.cli.status import status
from labctl.cli.update import update

# Without `rich_markup_mode=None` every --help would import rich.
app = typer.Typer(
    name="labctl",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"labctl {__version__}")
        raise typer.Exit


@app.callback()
def labctl(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Turn a bare Linux machine with NVIDIA cards into a home AI server, and keep it so.

    Exit codes of every command: 0 done, 1 failed while doing, 2 bad input or usage, 3 the answer is no.

    \b
    Example:
      labctl deploy inventory/home.py && labctl verify
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (
    *(deploy, check, verify, doctor, update, preflight, power),
    *(fit, place, advise, diff, render, apply, rollback, services, gpus, rig),
    *(status, logs, start, stop, restart),
):
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(secrets_commands, name="secrets")
