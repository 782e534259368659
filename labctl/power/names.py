"""Which card a person means by a name: its UUID, its model as anybody writes it, or all of them."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol

from labctl.errors import BadInput

ALL = "all"
UUID_PREFIX = "GPU-"


class NamedCard(Protocol):
    """A card that can be asked for."""

    @property
    def id(self) -> str:
        """Its UUID, or HOST/INDEX."""
        ...

    @property
    def model(self) -> str:
        """As the catalogue calls it."""
        ...

    def is_called(self, name: str) -> bool:
        """Whether a person may mean this card's model by `name`."""
        ...


def rule(card: NamedCard, asked: Iterable[str]) -> str | None:
    """The one of the names that counts for a card: the closest to it."""
    names = list(asked)
    if card.id in names:
        return card.id
    by_model = [name for name in names if card.is_called(name)]
    return by_model[0] if by_model else ALL if ALL in names else None


def refuse_unknown(name: str, cards: Sequence[NamedCard], where: str) -> None:
    """Raise BadInput for a name that no card has."""
    if name == ALL or any(name == card.id or card.is_called(name) for card in cards):
        return
    is_id = name.startswith(UUID_PREFIX) or "/" in name
    here = sorted({card.id if is_id else card.model for card in cards})
    near = get_close_matches(name, here, n=1, cutoff=0.7)
    meant = f"did you mean {near[0]}? " if near else "`labctl gpus --json` lists the cards; "
    raise BadInput(
        "no card here has this UUID" if is_id else "no card here is of this model",
        where=where,
        found=name,
        expected=", ".join(here) or "a card",
        hint=f"{meant}nothing was changed",
    )
