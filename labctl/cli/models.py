"""`labctl models`: model files on the hosts, where their services find them."""

from typing import Annotated

import typer

from labctl.cli.options import DEFAULT_INVENTORY, Json

models = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

Hosts = Annotated[
    str,
    typer.Option(
        "--inventory", metavar="FILE[:HOST]", help="A pyinfra inventory, or one host of it; @local."
    ),
]


@models.callback()
def all_models(context: typer.Context) -> None:
    """Keep the model files of the hosts: fetch what a plan needs, list what lies there, remove it.

    \b
    Examples:
      labctl models pull
      labctl models list
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@models.command()
def pull(  # noqa: PLR0913 - the options of a command are its arguments
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PLAN | MODEL …]",
            show_default=False,
            help="A plan, or models: of the catalogue, or org/name on the hub; plan.json unless said.",
        ),
    ] = None,
    inventory: Hosts = DEFAULT_INVENTORY,
    *,
    quant: Annotated[
        str | None,
        typer.Option(metavar="Q", show_default=False, help="As Q4_K_M; what is usual unless said."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="E", help="Who will load it: llama.cpp, vllm, training, comfyui.")
    ] = "llama.cpp",
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            show_default=False,
            help="org/name on the hub, an address (with --sha256), a path here, or host:PATH.",
        ),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", show_default=False, help="Of the file behind the address.")
    ] = None,
    json: Json = False,
) -> None:
    """Bring model files to the hosts, whole and verified. What is there is not fetched again.

    The host fetches them itself: this machine may sleep or leave, and the same command follows on. One that was cut off
    goes on where it was. A gated repository wants HF_TOKEN in the environment; it is handed on by standard input alone.
    Models of a plan that services fetch or choose themselves are listed, with what to do. Exit code 1 when one that
    is pulled did not come.

    \b
    Examples:
      labctl models pull plan.json
      labctl models pull llama-3.1-8b --quant Q4_K_M
      labctl models pull org/name --engine vllm --inventory inventory/home.py:aibox
      labctl models pull mine --quant Q4_K_M --from ./mine.gguf
      labctl models pull mine --quant Q8_0 --from https://example.org/m.gguf --sha256 HEX
    """
    from labctl.cli.models_pull import Asked, answer

    asked = Asked(tuple(what or ()), inventory, quant, engine, source, sha256, as_json=json)
    raise typer.Exit(answer(asked))


@models.command(name="list")
def list_models(inventory: Hosts = DEFAULT_INVENTORY, *, json: Json = False) -> None:
    """List the models on the hosts: size, whether whole, where from, which units load them; and free space.

    \b
    Examples:
      labctl models list
      labctl models list --inventory @local --json
    """
    from labctl.cli.models_list import answer

    raise typer.Exit(answer(inventory, as_json=json))


@models.command()
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `labctl models list` has it.")],
    inventory: Hosts = DEFAULT_INVENTORY,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also one that a unit loads.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove a model from the hosts. Exit code 3 for one that a unit of the plan in force loads.

    \b
    Examples:
      labctl models rm llama-3.1-8b
      labctl models rm mine/mine-Q8_0.gguf --inventory inventory/home.py:aibox --yes
    """
    from labctl.cli.models_rm import Asked, answer

    raise typer.Exit(answer(Asked(name, inventory, force=force, yes=yes, as_json=json)))
