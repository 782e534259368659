"""Arguments and options that several commands share, and what becomes of their text."""

from collections.abc import Iterable
from typing import Annotated

import typer

from labctl.errors import BadInput

DEFAULT_INVENTORY = "inventory/home.py"

Workloads = Annotated[str, typer.Argument(metavar="WORKLOADS", help="A workloads file.")]
RigFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="A rig file; this machine's cards unless said.")
]
Live = Annotated[
    str | None, typer.Option(metavar="FILE[:HOST]", help="The hosts of a pyinfra inventory, asked live.")
]
Inventory = Annotated[
    str, typer.Argument(metavar="INVENTORY", help="A pyinfra inventory file, or @local for this machine.")
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="ROLE,…", help="Only these roles.")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="ROLE,…", help="All roles but these.")]
Limit = Annotated[
    list[str] | None, typer.Option("--limit", metavar="HOST,…", help="Only these hosts or groups.")
]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="KEY=VALUE", help="A setting that overrides the inventory's; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Verbosity = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        show_default=False,
        help="Say more: -v what did not change, -vv every command.",
    ),
]

Add = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GPU[:N][:HOST]",
        help="As if so many more of this card were there, as rtx-3090:2; repeatable.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GPU[:N]", help="As if this card were gone: its name in the rig, or a model; repeatable."
    ),
]
PowerLimit = Annotated[
    list[str] | None,
    typer.Option(
        "--power-limit",
        metavar="[GPU=]WATTS",
        help="As if all cards, or this one or model, were held to so many watts; repeatable.",
    ),
]
Ram = Annotated[
    list[str] | None,
    typer.Option(metavar="GIB[:HOST]", help="As if a host had so much RAM, in GiB; repeatable."),
]


def comma_separated(values: Iterable[str] | None) -> tuple[str, ...]:
    """`--only base,firewall --only podman` as one tuple, in the order given."""
    return tuple(
        word for value in values or () for word in (part.strip() for part in value.split(",")) if word
    )


def key_values(pairs: Iterable[str] | None) -> tuple[tuple[str, str], ...]:
    """`--data` pairs; raises BadInput for one without a key or an equals sign."""
    split = [pair.partition("=") for pair in pairs or ()]
    for key, equals, value in split:
        if not (key and equals):
            raise BadInput(
                "not a setting", where="--data", found=repr(key + equals + value), expected="KEY=VALUE"
            )
    return tuple((key, value) for key, _, value in split)
