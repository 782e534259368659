"""Hosts with the power limits that were tried on them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.place.power import Power, power
from labctl.power.card import PoweredCard
from labctl.rig.live import LiveHost
from labctl.rig.power_curve import Work
from labctl.rig.rig import Card


@dataclass(frozen=True)
class Tried:
    """One card. Watts: now and as tried; None where nobody knows."""

    card: Card
    powered: PoweredCard
    now_watts: int | None
    watts: int | None
    draw_watts: float | None

    def kept(self, work: Work) -> float | None:
        """Speed kept at the limit tried, 0 to 1."""
        return None if self.watts is None else self.powered.kept(work, self.watts)

    def measured_on(self, work: Work) -> str | None:
        """The model whose measurements say so."""
        if self.watts is None or not self.powered.default_watts:
            return None
        curve = self.powered.curve
        return (curve.decode if work == "decode" else curve.prefill).measured_on(
            self.watts / self.powered.default_watts
        )


@dataclass(frozen=True)
class HostTried:
    """One host, with its power supply under the limits tried."""

    live: LiveHost
    cards: tuple[Tried, ...]
    power: Power


def tried(live: LiveHost, cards: Mapping[str, PoweredCard], watts: Mapping[str, int]) -> HostTried:
    """A host with other limits: `watts`, by card; a card that is not in there keeps its own."""
    rows = []
    for reading in live.readings:
        card = cards[reading.card.id]
        now = reading.card.power_limit_watts or card.default_watts
        rows.append(Tried(reading.card, card, now, watts.get(card.id, now), reading.power_watts))
    limited = tuple(replace(row.card, power_limit_watts=row.watts) for row in rows)
    return HostTried(live, tuple(rows), power(replace(live.host, cards=limited)))
