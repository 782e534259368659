"""The engine's allocator for compute buffers: best fit in the holes, else at the end (ggml/src/ggml-alloc.c)."""

from bisect import bisect_left

ALIGNMENT = 128


class FreeList:
    """One buffer that only ever grows. `peak`: bytes it had to have."""

    def __init__(self) -> None:
        # Holes by address, and what follows the last result; two lists, so that addresses can be searched.
        self._starts: list[int] = []
        self._sizes: list[int] = []
        self._end = 0
        self.peak = 0

    def take(self, n_bytes: int) -> int:
        """Where a result goes. Of holes that fit equally well the last is taken."""
        n_bytes = padded(n_bytes)
        best = -1
        for hole, size in enumerate(self._sizes):
            if size >= n_bytes and (best < 0 or size <= self._sizes[best]):
                best = hole
        if best < 0:
            start = self._end
            self._end += n_bytes
            self.peak = max(self.peak, self._end)
            return start
        start = self._starts[best]
        if self._sizes[best] == n_bytes:
            del self._starts[best], self._sizes[best]
        else:
            self._starts[best] += n_bytes
            self._sizes[best] -= n_bytes
        return start

    def give(self, start: int, n_bytes: int) -> None:
        """Back into the list, joined with the holes beside it."""
        n_bytes = padded(n_bytes)
        hole = bisect_left(self._starts, start)
        if hole and self._starts[hole - 1] + self._sizes[hole - 1] == start:
            hole -= 1
            self._sizes[hole] += n_bytes
        else:
            self._starts.insert(hole, start)
            self._sizes.insert(hole, n_bytes)
        after = hole + 1
        if after < len(self._starts) and self._starts[hole] + self._sizes[hole] == self._starts[after]:
            self._sizes[hole] += self._sizes[after]
            del self._starts[after], self._sizes[after]
        if self._starts[hole] + self._sizes[hole] == self._end:
            self._end = self._starts[hole]
            del self._starts[hole], self._sizes[hole]


def padded(n_bytes: int) -> int:
    """As results are placed."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
