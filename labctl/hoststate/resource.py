"""The shape every resource has: what to observe, how it differs, the script that closes the gap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from labctl.hoststate.observation import Observations
from labctl.hoststate.survey import Probes


class Certainty(StrEnum):
    """How sure a check is that the deploy will run an operation."""

    CERTAIN = "certain"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class Difference:
    """Why an operation has something to do, in words a person reads on a phone."""

    reason: str
    certainty: Certainty = Certainty.CERTAIN


@dataclass(frozen=True)
class Pending:
    """What earlier operations of the same run are going to change: a check must look through them."""

    paths: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    other: frozenset[str] = frozenset()

    def __or__(self, later: Pending) -> Pending:
        return Pending(self.paths | later.paths, self.packages | later.packages, self.other | later.other)


@dataclass(frozen=True)
class Action:
    """One shell script, run as root, and the lines it reads on standard input.

    Contents of files go through `stdin`: a command line is seen in process lists and in verbose output, stdin is not.
    """

    script: str
    stdin: tuple[str, ...] = field(default=(), repr=False)


class Resource(Protocol):
    """One operation's worth of wanted state."""

    @property
    def name(self) -> str:
        """Unique within a role; a check names it, a deploy shows it."""
        ...

    def probes(self) -> Probes:
        """What must be observed before `compare` or `action` can speak."""
        ...

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """The difference between wanted and seen, None when there is nothing to do."""
        ...

    def action(self, seen: Observations) -> Action:
        """The script that turns what was seen into what is wanted."""
        ...

    def will_change(self, seen: Observations) -> Pending:
        """What `action` changes, for resources that come later in the order."""
        ...

    def digest(self) -> str:
        """A hash of what is wanted, not of what the host has: it changes when the repository or inventory does."""
        ...


def digest_of(parts: Iterable[str | bytes]) -> str:
    """A hash of `parts`, in order, unambiguous about where one part ends."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()
