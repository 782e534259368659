"""What a deploy cannot change and a person should know all the same."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Resource


@runtime_checkable
class Noting(Resource, Protocol):
    """A resource with something to tell, whether or not it differs; deploys and checks show it and go on."""

    def notes(self, seen: Observations) -> tuple[str, ...]:
        """One sentence each; none where there is nothing to tell."""
        ...
