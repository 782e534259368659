"""A card as power limits see it, whoever told of it: a rig, nvidia-smi, or the unit of an earlier deploy."""

from dataclasses import dataclass

from labctl.rig.gpu import plain_name
from labctl.rig.power_curve import WORKS, PowerCurve, Work
from labctl.rig.rig import Card


@dataclass(frozen=True)
class PoweredCard:
    """Whole watts. id: its UUID, or HOST/INDEX. default_watts: None for a card whose limit cannot be set.

    min_watts, max_watts: None where nobody knows. names: what else the model is called.
    """

    id: str
    model: str
    default_watts: int | None
    min_watts: int | None
    max_watts: int | None
    curve: PowerCurve
    names: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """Whether a person may mean this card's model by `name`."""
        return plain_name(name) in {plain_name(each) for each in (self.model, *self.names)}

    def kept(self, work: Work, watts: int) -> float:
        """Speed kept under a limit, 0 to 1; 1 where the default is not known."""
        return self.curve.kept(work, watts / self.default_watts) if self.default_watts else 1.0

    def kept_in_all(self, watts: int) -> float:
        """Speed kept, both kinds of work counted alike."""
        return sum(self.kept(work, watts) for work in WORKS) / len(WORKS)


def power_range(card: Card) -> tuple[int | None, int | None]:
    """Watts that a card's limit may be set to: as its own board says, else as the catalogue; None where nobody knows.

    Where only the most is unknown it is the card's default: boards that take more exist, but this one may not.
    """
    least = card.power_min_watts or card.gpu.power_min_watts
    most = card.power_max_watts or card.gpu.power_max_watts
    return least, most or card.power_default_watts or card.gpu.tdp_watts


def powered(card: Card, curve: PowerCurve) -> PoweredCard:
    """A card of a rig; what the rig does not say is the catalogue's."""
    gpu = card.gpu
    least, most = power_range(card)
    return PoweredCard(
        id=card.id,
        model=gpu.name,
        # With unified memory the limit is the machine's, and the driver sets none.
        default_watts=card.power_default_watts or (None if gpu.unified_memory else gpu.tdp_watts),
        min_watts=least,
        max_watts=most,
        curve=curve,
        names=(gpu.title, *gpu.aliases),
    )
