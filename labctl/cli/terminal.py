"""What the terminal that prints an answer can show: how wide it is, colours, and characters beyond ASCII."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# No line is longer, however wide the window: text that crosses a screen is hard to read, and a pipe has no width.
MOST_COLUMNS = 80
# Tables need some room; a narrower window wraps what it is given.
LEAST_COLUMNS = 40

# What our own texts are written with beyond ASCII.
_IN_ASCII = str.maketrans({"–": "-", "×": "x", "·": "-", "…": "~", "→": "->", "›": ">"})


@dataclass(frozen=True)
class Terminal:
    """Where text goes. ascii_only: its encoding has no blocks and dashes."""

    columns: int = MOST_COLUMNS
    colour: bool = False
    ascii_only: bool = False

    def spelled(self, text: str) -> str:
        """The text as this terminal can show it."""
        return text.translate(_IN_ASCII) if self.ascii_only else text


# A pipe, or a terminal of which nothing is known.
ANY_TERMINAL = Terminal()


def here() -> Terminal:
    """stdout as it is now. COLUMNS, NO_COLOR and TERM=dumb are heeded."""
    columns = shutil.get_terminal_size((MOST_COLUMNS, 24)).columns
    return Terminal(
        columns=min(MOST_COLUMNS, max(LEAST_COLUMNS, columns)),
        colour=colour_wanted(sys.stdout.isatty()),
        ascii_only=not _can_show("█·–×", sys.stdout.encoding),
    )


def colour_wanted(terminal: bool) -> bool:
    """Colour is for a person at a terminal who did not say otherwise (https://no-color.org)."""
    return terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _can_show(text: str, encoding: str | None) -> bool:
    """In the C locale Python speaks UTF-8 (PEP 538, PEP 540), and so do its terminals by now."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Tells a person at a terminal what takes so long, on stderr; gone when it is over."""
    if not sys.stderr.isatty():
        yield
        return
    print(f"{words} …", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        # Back to the line's start, and it is empty again (ECMA-48, EL).
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
