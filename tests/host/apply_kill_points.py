"""Where an apply is cut off: every place for every kind, drawn from a fixed seed.

A place is a moment that the client's side comes to, or a word of the host's transaction; then some seconds.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from tests.host.kill_points import Kind

SEED = 6
BEGUN, UNPACKING, STAGED = "the client began", "its stage is being unpacked", "its stage is there"
PULL, WAIT, INSTALL, UNDO = "pull 1/1:", "wait:", "install:", "undo:"
# By place, the range that chance draws the seconds from.
_PLACES = {
    BEGUN: (0.2, 1.2),  # it logs in, looks, and begins
    UNPACKING: (0.0, 1.0),
    STAGED: (0.0, 1.0),  # nothing was started yet
    "check:": (0.0, 0.5),
    PULL: (0.2, 1.8),
    "stop:": (0.0, 0.8),
    WAIT: (0.0, 1.5),  # for a card's memory
    INSTALL: (0.0, 1.5),  # files are written, services start
    "healthy:": (0.0, 0.3),
    UNDO: (0.0, 1.5),  # one never came up
    "done:": (0.0, 0.3),
}
_LEFT_ALONE = (("cable cut", "stop:"), ("cable cut", INSTALL), ("power cut", "healthy:"))


@dataclass(frozen=True)
class ApplyPoint:
    """`seconds` after `place`. then: the client is left alone, and not killed: it has to end by itself."""

    kind: Kind
    place: str
    seconds: float
    then: Literal["", "left alone"] = ""

    def __str__(self) -> str:
        return f"{self.kind}{self.then and f' ({self.then})'}, {self.seconds:.2f} s after {self.place}"


def points() -> Iterator[ApplyPoint]:
    """Every place, for every kind."""
    draw = random.Random(SEED)
    for kind in get_args(Kind):
        for place, seconds in _PLACES.items():
            then: Literal["", "left alone"] = "left alone" if (kind, place) in _LEFT_ALONE else ""
            yield ApplyPoint(kind, place, draw.uniform(*seconds), then)
