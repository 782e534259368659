"""Every command's help shows how it is used."""

from collections.abc import Iterator
from typing import Any

import typer

from labctl.cli.app import app


def commands_without_example(application: typer.Typer) -> list[str]:
    """Names of commands (and the application itself, as '') whose help has no example line."""
    helps = _helps("", typer.main.get_command(application))
    return [name for name, text in helps if "\n  labctl " not in (text or "")]


def _helps(name: str, command: Any) -> Iterator[tuple[str, str | None]]:
    yield name, command.help
    for each, part in getattr(command, "commands", {}).items():
        yield from _helps(f"{name} {each}".strip(), part)


def test_every_command_has_an_example() -> None:
    assert commands_without_example(app) == []


def test_a_command_without_an_example_would_be_seen() -> None:
    planted = typer.Typer()
    planted.command("one")(lambda: None)
    planted.command("two", help="Two.\n\nExample:\n  labctl two")(lambda: None)
    below = typer.Typer()
    below.callback(help="Three.\n\nExample:\n  labctl three")(lambda: None)
    below.command("four")(lambda: None)
    planted.add_typer(below, name="three")
    assert commands_without_example(planted) == ["", "one", "three four"]
