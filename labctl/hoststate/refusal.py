"""What only the host itself can say cannot be: asked before the first operation changes anything."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from labctl.hoststate.observation import Observations
from labctl.hoststate.survey import Probes


@runtime_checkable
class Refusing(Protocol):
    """A resource that may turn out to be impossible on a host, by what is seen there."""

    @property
    def may_refuse(self) -> bool:
        """Whether there is anything to look at; a host is not asked in vain."""
        ...

    def probes(self) -> Probes:
        """As any resource's."""
        ...

    def refuse(self, seen: Observations) -> None:
        """Raise BadInput, or Failed, where the host cannot be made so."""
        ...
