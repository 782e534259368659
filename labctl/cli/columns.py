"""Tables of text that wrap to the width there is. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Literal

Side = Literal["left", "right"]
_GAP = "  "
# Narrower than this a column of words is a column of fragments.
_LEAST_WORDS = 20


def table(rows: Sequence[Sequence[str]], sides: Sequence[Side], width: int, wrap: int) -> list[str] | None:
    """Lines of `width` columns at most; None when that leaves the column of words, `wrap`, too little room."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(sides))]
    room = (
        width - sum(each for index, each in enumerate(widths) if index != wrap) - len(_GAP) * (len(sides) - 1)
    )
    if room < min(_LEAST_WORDS, widths[wrap]):
        return None
    widths[wrap] = min(room, widths[wrap])
    return [line for row in rows for line in _lines(row, sides, widths, wrap)]


def _lines(row: Sequence[str], sides: Sequence[Side], widths: Sequence[int], wrap: int) -> Iterator[str]:
    words = wrapped(row[wrap], widths[wrap]) or [""]
    for number, part in enumerate(words):
        cells = [part if index == wrap else ("" if number else cell) for index, cell in enumerate(row)]
        yield _GAP.join(
            f"{cell:>{width}}" if side == "right" else f"{cell:{width}}"
            for cell, side, width in zip(cells, sides, widths, strict=True)
        ).rstrip()


def wrapped(text: str, width: int, indent: str = "", later: str | None = None) -> list[str]:
    """Lines of `width` columns; names and options stay whole."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
