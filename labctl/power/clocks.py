"""Which clocks each card is locked to, by what a person asks for; refused whole where any part of it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labctl.errors import BadInput
from labctl.power.names import refuse_unknown, rule
from labctl.rig.gpu import plain_name

KINDS = ("graphics", "memory")


@dataclass(frozen=True)
class Span:
    """From the least to the most, MHz, both included. least_mhz: None where nobody knows."""

    least_mhz: int | None
    most_mhz: int

    def __str__(self) -> str:
        return f"{self.least_mhz or 'its least'} to {self.most_mhz} MHz"


@dataclass(frozen=True)
class ClockedCard:
    """id: its UUID. supported: what its clocks may be, by kind; a kind that cannot be locked is not in it.

    names: what else the model is called.
    """

    id: str
    model: str
    supported: Mapping[str, Span]
    names: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """Whether a person may mean this card's model by `name`."""
        return plain_name(name) in {plain_name(each) for each in (self.model, *self.names)}


@dataclass(frozen=True)
class WantedClocks:
    """What is asked for, by kind: least and most MHz by UUID, by model, or for `all`; the closest to a card counts.

    where: what to call it in messages, before the kind.
    """

    locks: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    where: str = "gpu_tuning"

    def __bool__(self) -> bool:
        return any(self.locks.values())


Locks = Mapping[str, tuple[int, int]]
"""Of one card: least and most MHz by kind; a kind that is not locked is not in it."""


def locks(cards: Sequence[ClockedCard], wanted: WantedClocks) -> dict[str, Locks]:
    """The locks of each card that gets any, by its id.

    Raises BadInput for a name that no card here has, and for a clock outside a card's range.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for kind in KINDS:
        asked = wanted.locks.get(kind, {})
        where = f"{wanted.where}.{kind}_mhz"
        for name in asked:
            refuse_unknown(name, cards, where)
        for card in cards:
            if (key := rule(card, asked)) is not None:
                _refuse_out_of_range(card, kind, asked[key], f"{where}: {key}")
                found.setdefault(card.id, {})[kind] = asked[key]
    return dict(found)


def _refuse_out_of_range(card: ClockedCard, kind: str, lock: tuple[int, int], where: str) -> None:
    least, most = lock
    supported = card.supported.get(kind)
    if supported is None:
        raise BadInput(
            f"the {kind} clock of {card.model} {card.id} cannot be locked",
            where=where,
            found="a card that tells no clocks",
            expected="a card from Volta on, and its driver",
            hint="name the others by model or UUID; nothing was changed",
        )
    if least < (supported.least_mhz or 0) or most > supported.most_mhz:
        raise BadInput(
            f"{card.model} {card.id} takes no such {kind} clock",
            where=where,
            found=f"{least} to {most} MHz",
            expected=f"within {supported}",
            hint="`nvidia-smi -q -d SUPPORTED_CLOCKS` lists them all; nothing was changed",
        )
