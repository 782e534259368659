"""A yes or no of whoever sits there, on standard error: standard output may be a document."""

import sys

from labctl.errors import BadInput


def refuse_unasked(command: str) -> None:
    """Raise BadInput where nobody could answer."""
    if not sys.stdin.isatty():
        raise BadInput(
            "there is nobody to ask whether this may be done",
            where="--yes",
            found="no terminal",
            hint=f"labctl {command} --yes does it without a question",
        )


def says_yes(question: str) -> bool:
    """Not by typer, which asks on standard output."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
