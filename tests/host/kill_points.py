"""Where a deploy of a fresh host is cut off: ten points of each kind, spread over the whole run.

A point is the end of one operation and a way into the next: seconds for the short ones, a share of dpkg's work for
those that install packages, so that it means the same on a slow machine. Chance draws both, from a fixed seed.

Reaching a late point takes most of a run. Layers of a fresh run that got just so far save that: `STAGES`, in order.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["client killed", "cable cut", "power cut"]
Client = Literal["labctl", "pyinfra"]
Then = Literal["", "left alone", "again"]

SEED = 20
STAGES = ("nothing", "sources and files", "base", "firewall", "podman packages")
"""What a run has done: each stage is where the operations after it begin."""


@dataclass(frozen=True)
class Point:
    """`seconds` after the operation `after` ended, or when dpkg has done `share` (0 to 1) of the next one's work.

    dpkg: words of dpkg's log, from which the seconds count. then: with the cable cut, the client is left alone and not
    killed; with the client killed, the next one is, too.
    """

    kind: Kind
    client: Client
    stage: str
    after: str
    seconds: float = 0.0
    share: float | None = None
    then: Then = ""
    dpkg: str = ""

    def __str__(self) -> str:
        how = f"{self.share:.0%} of dpkg's work" if self.share is not None else f"{self.seconds:.2f} s"
        what = f"{self.kind}{self.then and f' ({self.then})'}, {self.client}, {how} after"
        return f"{what} dpkg's {self.dpkg}" if self.dpkg else f"{what} {self.after}"


@dataclass(frozen=True)
class _Place:
    """seconds, share: the range that chance draws from."""

    stage: str
    after: str
    seconds: tuple[float, float] = (0.0, 0.0)
    share: tuple[float, float] | None = None


_PLACES = (
    _Place("nothing", "base: package database", (0.3, 4.0)),  # apt fetches its lists
    _Place("nothing", "base: journal size limit", (0.0, 0.4)),
    _Place("sources and files", "base: security updates", (0.5, 1.5)),  # apt downloads
    _Place("sources and files", "base: security updates", share=(0.05, 0.95)),
    _Place("base", "base: driver and kernel held back", (0.0, 0.6)),  # journald restarts
    _Place("base", "base: security update timer", share=(0.1, 0.9)),  # nftables
    _Place("base", "firewall: boot unit file", (0.0, 0.9)),  # the rules are armed, loaded, confirmed
    _Place("firewall", "podman: registry logins", share=(0.05, 0.5)),
    _Place("firewall", "podman: registry logins", share=(0.5, 0.95)),
    _Place("podman packages", "podman: image pruning files", (0.0, 1.4)),
)
_LEFT_ALONE = (3, 7)  # the client has to notice by itself: labctl, pyinfra


def points() -> Iterator[Point]:
    """Every place, for every kind, drawn anew; the clients take turns."""
    draw = random.Random(SEED)
    for kind in get_args(Kind):
        for number, place in enumerate(_PLACES):
            seconds = draw.uniform(*place.seconds)
            share = draw.uniform(*place.share) if place.share else None
            client: Client = "pyinfra" if number % 3 == 1 else "labctl"
            left_alone = kind == "cable cut" and number in _LEFT_ALONE
            yield Point(
                kind, client, place.stage, place.after, seconds, share, "left alone" if left_alone else ""
            )
    yield Point("client killed", "labctl", "firewall", "podman: registry logins", share=0.1, then="again")
