"""What a power limit costs: speed kept under it, from published measurements.

Between two measurements the speed is guessed low. Where each further watt buys less than the one before, the straight
line between them is under the truth. Where it does not (below 200 W an RTX 3090 falls off a cliff, and nobody measured
where its edge is) the lower measurement is held until the next. Above a card's default nobody measured any gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Work = Literal["decode", "prefill"]
WORKS: tuple[Work, ...] = ("decode", "prefill")
# (limit over the default limit, speed over the speed at the default limit), ascending, the last is (1, 1).
Points = tuple[tuple[float, float], ...]
# The one card of which both kinds of work were measured over its whole range: it speaks for those nobody measured.
REFERENCE = "rtx-3090"


@dataclass(frozen=True)
class Published:
    """A file of the catalogue: what was measured of one card. None: nobody published this kind of work."""

    card: str
    decode: Points | None
    prefill: Points | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """Speed kept in one kind of work. card: of which it was measured; below: for limits under the first point."""

    card: str
    points: Points
    below: "Kept | None" = None

    def at(self, share: float) -> float:
        """Speed kept, 0 to 1, at a limit that is `share` of the default. Never falls when the limit rises."""
        first, least = self.points[0]
        if share >= first:
            return _between(self.points, share)
        if self.below is not None:
            return min(least, self.below.at(share))
        # Under everything that was measured: in proportion, for want of anything better.
        return max(0.0, least * share / first)

    def measured_on(self, share: float) -> str:
        """The card whose measurements speak for this limit."""
        return self.below.measured_on(share) if self.below and share < self.points[0][0] else self.card

    @property
    def breaks(self) -> tuple[float, ...]:
        """Shares of the default limit between which the speed kept is a straight line, ascending."""
        own = {share for share, _ in self.points}
        under = self.below.breaks if self.below else ()
        first, least = self.points[0]
        # Where what is borrowed would pass the first point of the card's own, it is cut off.
        cut = (_reaching(self.below, least),) if self.below else ()
        return tuple(sorted(own | {share for share in (*under, *cut) if share < first}))


@dataclass(frozen=True)
class PowerCurve:
    """Both kinds of work. Decoding waits for memory and hardly minds; reading a prompt is arithmetic and does."""

    decode: Kept
    prefill: Kept
    sources: tuple[str, ...]

    def kept(self, work: Work, share: float) -> float:
        """Speed kept, 0 to 1, at a limit that is `share` of the default."""
        return (self.decode if work == "decode" else self.prefill).at(share)


def from_values(values: Mapping[str, Any]) -> Published:
    """The measurements that a checked file holds."""
    default = values["default_watts"]
    return Published(
        values["card"],
        _points(values.get("decode"), default),
        _points(values.get("prefill"), default),
        tuple(values["sources"]),
    )


def curve_of(card: str, published: Mapping[str, Published]) -> PowerCurve:
    """The curve of a card of the catalogue; what nobody measured of it is that of the reference, in proportion."""
    reference = published[REFERENCE]
    own = published.get(card)
    sources = dict.fromkeys((*(own.sources if own else ()), *reference.sources))
    return PowerCurve(
        _kept(own, own.decode if own else None, reference.decode),
        _kept(own, own.prefill if own else None, reference.prefill),
        tuple(sources),
    )


def _kept(own: Published | None, points: Points | None, reference: Points | None) -> Kept:
    assert reference is not None, "the reference is measured in both kinds of work"
    borrowed = Kept(REFERENCE, reference)
    if own is None or points is None or own.card == REFERENCE:
        return borrowed
    return Kept(own.card, points, borrowed)


def _points(measured: list[list[float]] | None, default_watts: float) -> Points | None:
    """From pairs of watts and speed in any unit. A limit under the default that is faster is noise, and cut to it."""
    if measured is None:
        return None
    full = next(speed for watts, speed in measured if watts == default_watts)
    ascending = sorted((watts / default_watts, speed / full) for watts, speed in measured)
    points: list[tuple[float, float]] = []
    for share, kept in reversed(ascending):
        points.append((share, min(kept, points[-1][1]) if points else kept))
    return tuple(reversed(points))


def _between(points: Points, share: float) -> float:
    before = points[0][1] / points[0][0]  # from nothing to the lowest measurement
    for (left, low), (right, high) in pairwise(points):
        slope = (high - low) / (right - left)
        if share < right:
            return low + slope * (share - left) if slope <= before else low
        before = slope
    return points[-1][1]


def _reaching(kept: Kept, speed: float) -> float:
    """The share at which `kept` first has this speed."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if kept.at(middle) >= speed else (middle, high)
    return high
