"""A figure that is known within bounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """low ≤ expected ≤ high, in one unit."""

    low: float
    expected: float
    high: float

    def __contains__(self, value: object) -> bool:
        """Whether a measured value lies within the bounds."""
        return isinstance(value, int | float) and self.low <= value <= self.high
