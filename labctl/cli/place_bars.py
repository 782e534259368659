"""A card's memory as a line of text, to scale: every block has a fill of its own and its name in it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from labctl.cli.place_picture import Block, CardPicture, HostPicture, Kind, gib

# A bar shorter than this holds no names: then each card's bar is as long as any other's.
LEAST_CELLS = 30
_PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class Fills:
    """What blocks are filled with. workloads: told apart by shape alone, so that no colour is needed."""

    workloads: str
    other: Mapping[Kind, str]


UNICODE = Fills("█▒▌░▓▄▚", {"kept": "╌", "free": "·", "others": "╳", "margin": "╱", "unused": "─"})
ASCII = Fills("#=%+*o&", {"kept": "-", "free": ".", "others": "x", "margin": "/", "unused": "_"})
# Of workloads by their fill; red is kept for what is not ours. Blue is left out: it cannot be read on black.
_COLOURS = ("36", "32", "35", "33", "96", "92", "95")
_COLOUR_OF: Mapping[Kind, str] = {"kept": "2", "free": "2", "others": "31", "margin": "2", "unused": "2"}


@dataclass(frozen=True)
class Cell:
    """Characters of one block, with the colour that they have where there are colours."""

    text: str
    colour: str


@dataclass(frozen=True)
class Bar:
    """One line. unnamed: (letter, block) of those whose name did not fit; unmeasured: of those with a name alone."""

    cells: tuple[Cell, ...]
    legend: tuple[tuple[str, Block], ...]

    def text(self, *, colour: bool) -> str:
        """The line, with or without the terminal's colour codes."""
        return "".join(
            f"\x1b[{each.colour}m{each.text}{_PLAIN}" if colour and each.colour else each.text
            for each in self.cells
        )


@dataclass(frozen=True)
class Palette:
    """The fill of every workload: the same on all of its cards, and on no card the same as another's."""

    fills: Fills
    of: Mapping[str, int] = field(default_factory=dict)

    def fill(self, block: Block) -> str:
        """The character that the block is filled with."""
        if block.kind != "workload":
            return self.fills.other[block.kind]
        return self.fills.workloads[self.of.get(block.name, 0)]

    def colour(self, block: Block) -> str:
        """The code of its colour on a terminal."""
        if block.kind != "workload":
            return _COLOUR_OF[block.kind]
        return _COLOURS[self.of.get(block.name, 0) % len(_COLOURS)]


def palette(hosts: Iterable[HostPicture], fills: Fills) -> Palette:
    """Fills are given out card by card, the largest block first; more workloads on one card than fills repeat them."""
    return Palette(fills, patterns(hosts, len(fills.workloads)))


def patterns(hosts: Iterable[HostPicture], count: int) -> dict[str, int]:
    """A number below `count` for every workload on a card, so that those on one card differ, and all where it goes."""
    on_card = [_named(card) for host in hosts for card in host.cards]
    chosen: dict[str, int] = {}
    for names in on_card:
        for name in names:
            if name in chosen:
                continue
            beside = [each for others in on_card if name in others for each in others]
            taken = [chosen[each] for each in beside if each in chosen]
            given = list(chosen.values())
            chosen[name] = min(
                range(count), key=lambda number: (taken.count(number), given.count(number), number)
            )
    return chosen


def _named(card: CardPicture) -> list[str]:
    blocks = (*card.blocks, *(block for time in card.other_times for block in time.blocks))
    return [each.name for each in blocks if each.kind == "workload"]


def lengths(cards: Sequence[CardPicture], cells: int, least: int = LEAST_CELLS) -> list[int]:
    """Cells of each card's bar: by memory, so that cards compare too, unless the smallest would be under `least`."""
    largest = max((card.size_mib for card in cards), default=0)
    found = [round(cells * card.size_mib / largest) if largest else 0 for card in cards]
    return found if min(found, default=0) >= least else [cells] * len(cards)


def bar(blocks: Sequence[Block], size_mib: int, cells: int, palette: Palette) -> Bar:
    """A line of `cells` characters; what is there has one at least."""
    counts = shares([block.mib for block in blocks], size_mib, cells)
    letters = _letters([block.name for block in blocks if block.kind == "workload"])
    drawn, legend = [], []
    for block, count in zip(blocks, counts, strict=True):
        text, said = _drawn(block, count, palette.fill(block), letters.get(block.name, ""))
        drawn.append(Cell(text, palette.colour(block)))
        if block.kind == "workload" and said < _SIZE:
            legend.append((letters[block.name] if said < _NAME else "", block))
    return Bar(tuple(drawn), tuple(legend))


def shares(amounts: Sequence[int], whole: int, cells: int) -> list[int]:
    """Whole cells of each amount, by where it ends: no error adds up. What is more than nothing has one at least."""
    ends = [round(cells * end / whole) if whole else 0 for end in accumulate(amounts)]
    counts = [last - first for first, last in pairwise([0, *ends])]
    for index, amount in enumerate(amounts):
        if amount and not counts[index]:
            counts[counts.index(max(counts))] -= 1
            counts[index] = 1
    return counts


# How much of a block's label its cells have room for.
_LETTER, _NAME, _SIZE = 0, 1, 2


def _drawn(block: Block, count: int, fill: str, letter: str) -> tuple[str, int]:
    """The block's characters, and how much they say."""
    for text, said in _labels(block):
        # A blank and a fill on both sides, or a name would run into its neighbour's.
        if len(text) + 4 <= count:
            return f" {text} ".center(count, fill), said
    if block.kind != "workload":
        return fill * count, _LETTER
    if len(block.name) + 2 <= count:
        return block.name.center(count, fill), _NAME
    return letter.center(count, fill), _LETTER


def _labels(block: Block) -> Iterator[tuple[str, int]]:
    """The longest first."""
    if block.kind == "workload":
        if block.of_mib is not None:
            yield f"{block.name} {gib(block.mib)} of {gib(block.of_mib)} GiB", _SIZE
            yield f"{block.name} {gib(block.mib)} of {gib(block.of_mib)}", _SIZE
        else:
            yield f"{block.name} {gib(block.mib)} GiB", _SIZE
            yield f"{block.name} {gib(block.mib)}", _SIZE
        yield block.name, _NAME
    elif block.kind == "free":
        yield f"{gib(block.mib)} GiB free", _SIZE
        yield f"{gib(block.mib)} free", _SIZE
        yield "free", _NAME
    else:
        yield f"{block.name} {gib(block.mib)}", _SIZE
        yield block.name, _NAME


def _letters(names: Iterable[str]) -> dict[str, str]:
    """One capital for each name, its own first one if that is not taken."""
    found: dict[str, str] = {}
    for name in names:
        free = [each for each in (*name, *"abcdefghijklmnopqrstuvwxyz") if each.isalnum()]
        found[name] = next((each.upper() for each in free if each.upper() not in found.values()), "?")
    return found
