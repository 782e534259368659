"""Units taken down in the order of their dependencies, also those that come back meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labctl.errors import Failed
from labctl.transaction.decision import waves
from labctl.transaction.manifest import ManagedUnit
from labctl.transaction.services import Services

_TIMES = 5
"""A job that ends brings back what stepped aside for it, which may be a job, too: no longer chain is likely."""


def bring_down(
    units: Sequence[ManagedUnit],
    services: Services,
    before: Callable[[Sequence[ManagedUnit]], None] = lambda _units: None,
    pass_over: Callable[[Failed], None] | None = None,
) -> None:
    """Stop all of `units`; return when none of them is up or about to be.

    before: told which are stopped next. pass_over: told what does not stop, which is left then. Raises Failed for it
    otherwise.
    """
    done: list[ManagedUnit] = []
    for wave in reversed(list(waves(units))):
        done += wave
        try:
            _stop(list(wave), done, services, before)
        except Failed as problem:
            if pass_over is None:
                raise
            pass_over(problem)


def _stop(
    left: list[ManagedUnit],
    done: Sequence[ManagedUnit],
    services: Services,
    before: Callable[[Sequence[ManagedUnit]], None],
) -> None:
    for _ in range(_TIMES):
        before(left)
        services.stop(left)
        left = services.not_down(done)
        if not left:
            return
    raise Failed(
        "comes back whenever it is stopped",
        where=", ".join(unit.unit for unit in left),
        hint=f"systemctl status {left[0].unit}",
    )
