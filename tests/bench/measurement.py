"""Wall times of things that take turns, and how they are printed."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """Wall times in seconds, in the order they were taken."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:6.2f} s   ({min(self.seconds):.2f} to {max(self.seconds):.2f})"


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
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            began = time.monotonic()
            work()
            if number > 0:
                seconds[name].append(time.monotonic() - began)
    return {name: Series(tuple(values)) for name, values in seconds.items()}
