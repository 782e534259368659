"""Every command's help shows how it is used."""

import typer

from labctl.cli.app import app


def commands_without_example(application: typer.Typer) -> list[str]:
    """Names of commands (and the application itself, as '') whose help has no example line."""
    group = typer.main.get_command(application)
    helps = {
        "": group.help,
        **{name: command.help for name, command in getattr(group, "commands", {}).items()},
    }
    return [name for name, text in helps.items() if "\n  labctl " not in (text or "")]


def test_every_command_has_an_example() -> None:
    assert commands_without_example(app) == []


def test_a_command_without_an_example_would_be_seen() -> None:
    planted = typer.Typer()
    planted.command("one")(lambda: None)
    planted.command("two", help="Two.\n\nExample:\n  labctl two")(lambda: None)
    assert commands_without_example(planted) == ["", "one"]
