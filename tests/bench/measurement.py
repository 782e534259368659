"""Wall times of things that take turns, and how they are printed."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """Wall times in seconds, in the order they were taken.

    cpu_seconds: what the processes on this machine computed meanwhile, user and system; not those on the hosts.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        spread = f"({min(self.seconds):.2f} to {max(self.seconds):.2f})"
        return (
            f"{self.median:6.2f} s   {spread:<18} {statistics.median(self.cpu_seconds):5.2f} s of client CPU"
        )


@dataclass(frozen=True)
class Ratio:
    """One series against another that took turns with it. `value` is that of the medians."""

    first: Series
    second: Series

    @property
    def value(self) -> float:
        """Median of the first over median of the second."""
        return self.first.median / self.second.median

    def __str__(self) -> str:
        pairs = [a / b for a, b in zip(self.first.seconds, self.second.seconds, strict=True)]
        return f"{self.value:6.2f}     ({min(pairs):.2f} to {max(pairs):.2f} in pairs)"


def take_turns(works: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Series]:
    """Do each in turn, `rounds` times over; one more round before that is not counted (caches, byte code)."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began, cpu_began = time.monotonic(), _cpu_seconds()
            work()
            if number > 0:
                taken[name].append((time.monotonic() - began, _cpu_seconds() - cpu_began))
    return {
        name: Series(tuple(wall for wall, _ in pairs), tuple(cpu for _, cpu in pairs))
        for name, pairs in taken.items()
    }


def _cpu_seconds() -> float:
    """What this process and its ended children have computed so far."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
