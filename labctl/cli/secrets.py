"""`labctl secrets`: what a host's services keep secret, without leaving the host unless a person asks."""

from typing import Annotated

import typer

from labctl.cli.options import DEFAULT_INVENTORY, Json
from labctl.errors import BadInput

Hosts = Annotated[
    str, typer.Option("--inventory", metavar="FILE[:HOST]", help="A pyinfra inventory, or one host of it.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `labctl secrets` lists it.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", show_default=False, help="Where the passphrase stands; asked for unless said."
    ),
]

secrets_commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@secrets_commands.callback()
def secrets(context: typer.Context, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """List the secrets of the services on each host: what for, made how and when, in use; never a value.

    Services' own passwords and keys are made on the host by the first apply and kept there by Podman, for root alone.
    Tokens that only you have are yours to set. Export them with your backups: restored data needs its passwords.

    \b
    Examples:
      labctl secrets
      labctl secrets show nextcloud-admin-password
      labctl secrets set images-hf-token --inventory inventory/home.py:aibox
      labctl secrets export home-secrets.age
    """
    if context.invoked_subcommand is None:
        from labctl.cli.secrets_answer import listed

        raise typer.Exit(listed(inventory, as_json=json))
    if inventory != DEFAULT_INVENTORY or json:
        raise BadInput(
            "options belong behind the command",
            where=f"labctl secrets {context.invoked_subcommand}",
            hint=f"labctl secrets {context.invoked_subcommand} … --inventory FILE",
        )


@secrets_commands.command()
def show(name: Name, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Print one value, and nothing else on standard output. On a terminal it stays in what can be scrolled back.

    \b
    Examples:
      labctl secrets show nextcloud-admin-password
      labctl secrets show nextcloud-admin-password | wl-copy
    """
    from labctl.cli.secrets_answer import shown

    shown(name, inventory, as_json=json)


@secrets_commands.command("set")
def set_(name: Name, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Keep a value that only you have, as a token: asked for, or from standard input without its last line end.

    It is never written on the command line, where every login of the machine could read it.

    \b
    Examples:
      labctl secrets set images-hf-token
      labctl secrets set images-hf-token < token.txt
    """
    from labctl.cli.secrets_answer import kept

    kept(name, inventory, as_json=json)


@secrets_commands.command()
def rotate(name: Name, inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """Make a new random value, where the service takes one by a restart; the others keep theirs, exit code 3.

    \b
    Example:
      labctl secrets rotate ui-secret-key && labctl restart ui
    """
    from labctl.cli.secrets_answer import rotated

    rotated(name, inventory, as_json=json)


@secrets_commands.command()
def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file; only you may read it.")],
    inventory: Hosts = DEFAULT_INVENTORY,
    passphrase_file: PassphraseFile = None,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Also where the file is there already.")] = False,
    json: Json = False,
) -> None:
    """Write all secrets of one host to a file, encrypted with a passphrase: an age file, which age opens, too.

    \b
    Examples:
      labctl secrets export home-secrets.age
      labctl secrets export aibox.age --inventory inventory/home.py:aibox
      age --decrypt home-secrets.age
    """
    from labctl.cli.secrets_export import exported

    exported(file, inventory, passphrase_file, replace=replace, as_json=json)


@secrets_commands.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What an export wrote.")],
    inventory: Hosts = DEFAULT_INVENTORY,
    passphrase_file: PassphraseFile = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where the host has another value.")
    ] = False,
    json: Json = False,
) -> None:
    """Put exported secrets back onto a host that lacks them; before the first apply there, with restored data.

    A secret that the host has otherwise is left as it is and named, exit code 3.

    \b
    Example:
      labctl secrets import home-secrets.age && labctl apply
    """
    from labctl.cli.secrets_export import imported

    raise typer.Exit(imported(file, inventory, passphrase_file, replace=replace, as_json=json))
