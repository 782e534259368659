"""Changes that can lock their own client out: the host undoes them by itself unless they are confirmed in time."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from labctl.hoststate.resource import Action, Resource


@runtime_checkable
class Guarded(Resource, Protocol):
    """A resource whose action arms a timer on the host that restores what was there before.

    `undo_seconds` is that timer. `confirm` is run over the old connection after a new one has succeeded: it disarms the
    timer and makes the change permanent. `advice` is what to do after a change that locked the client out.
    """

    undo_seconds: int

    @property
    def advice(self) -> str:
        """Which settings to look at."""
        ...

    def confirm(self) -> Action:
        """The script that keeps the change."""
        ...
