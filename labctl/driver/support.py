"""Which flavour of a branch's kernel module drives a set of cards, and which card is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.driver.host import PciCard
from labctl.driver.table import Flavour, Table

_FLAVOURS: tuple[Flavour, ...] = ("open", "proprietary")


@dataclass(frozen=True)
class KnownCard:
    """A card of the host by its id. models: its names in the catalogue; generation: as the table calls it, or None.

    title: what a person calls it.
    """

    card: PciCard
    models: tuple[str, ...]
    generation: str | None
    title: str
    certain: bool = True

    @property
    def set_aside(self) -> bool:
        """Whether it is kept for a virtual machine, so that this host's driver never sees it."""
        return self.card.driver == "vfio-pci"


def drives(table: Table, card: KnownCard, branch: int, flavour: Flavour) -> bool:
    """Whether a branch drives one card with this flavour of module."""
    row = table.architecture(card.generation or "")
    branches = row.of(flavour) if row else None
    return bool(branches and branches.hold(branch) and branch >= _first_branch(table, card))


def flavours(table: Table, cards: tuple[KnownCard, ...], branch: int) -> tuple[Flavour, ...]:
    """The flavours of a branch that drive all of the cards at once, the better one first.

    One host loads one module, so cards that need different flavours cannot be driven together.
    """
    possible = [each for each in _FLAVOURS if all(drives(table, card, branch, each) for card in cards)]
    if branch < table.open_by_default_from.branch:
        possible.reverse()
    return tuple(possible)


def in_the_way(table: Table, cards: tuple[KnownCard, ...], branch: int) -> Iterator[str]:
    """Why no flavour of a branch drives all of the cards: each card that it does not drive, or the two that differ."""
    alone = {card.title: flavours(table, (card,), branch) for card in cards}
    undriven = [title for title, possible in alone.items() if not possible]
    if undriven:
        for title in undriven:
            yield f"{branch} does not drive {title}"
        return
    only_open = [title for title, possible in alone.items() if possible == ("open",)]
    only_proprietary = [title for title, possible in alone.items() if possible == ("proprietary",)]
    if only_open and only_proprietary:
        yield (
            f"{only_open[0]} needs the open kernel module and {only_proprietary[0]} the proprietary one; "
            "a host loads one of them"
        )


def never_together(table: Table, cards: tuple[KnownCard, ...]) -> bool:
    """Whether no branch and no flavour at all drives these cards on one host."""
    rows = [table.architecture(card.generation or "") for card in cards]
    for flavour in _FLAVOURS:
        spans = [row.of(flavour) if row else None for row in rows]
        if all(spans):
            first = max(
                [span.first or 0 for span in spans if span] + [_first_branch(table, card) for card in cards]
            )
            last = min(span.last or 10_000 for span in spans if span)
            if first <= last:
                return False
    return True


def _first_branch(table: Table, card: KnownCard) -> int:
    """The first branch that knows the card; of several that share its id, the latest one's."""
    return max((table.late_cards.first_branch.get(model, 0) for model in card.models), default=0)
