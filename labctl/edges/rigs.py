"""Rigs from files, from the live machine, and from a few words on the command line."""

from pathlib import Path

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.rig.rig import NAMELESS, Card, Host, Rig, default_reserved_mib, visible_mib

MOST_CARDS = 64
LONGEST_NUMBER = 12


def read_rig(path: str) -> Rig:
    """The rig in a file. Raises BadInput with file, line and key."""
    from labctl.rig.rig_file import parse

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadInput(
            "the rig file cannot be read", where=path, found=said, hint="see workloads/rigs/ for examples"
        ) from error
    return parse(text, path, catalog.gpu)


def rig_of(words: tuple[str, ...]) -> Rig:
    """A host with the cards that were named, as `rtx-3090` or `rtx-3090:2`; of the rest nothing is known."""
    cards: list[Card] = []
    for word in words:
        name, colon, count = word.partition(":")
        if colon and not (is_number(count) and 1 <= int(count) <= MOST_CARDS):
            raise BadInput(
                "not a number of cards",
                where="--gpu",
                found=word,
                expected=f"NAME or NAME:COUNT up to {MOST_CARDS}, as rtx-3090:2",
            )
        try:
            gpu = catalog.gpu(name)
        except BadInput as unknown:
            unknown.where = "--gpu"
            raise
        memory_mib = visible_mib(gpu)
        reserved = default_reserved_mib(memory_mib)
        first = len(cards)
        cards += [
            Card(f"{NAMELESS}/{first + offset}", NAMELESS, first + offset, gpu, memory_mib, reserved)
            for offset in range(int(count or 1))
        ]
    return Rig("named", (Host(NAMELESS, tuple(cards)),))


def is_number(text: str) -> bool:
    """Whether a person wrote a whole number, of a length that is one."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
