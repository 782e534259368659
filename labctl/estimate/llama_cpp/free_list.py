"""The engine's allocator for compute buffers: best fit in the holes, else at the end (ggml/src/ggml-alloc.c)."""

ALIGNMENT = 128
# More than any number of results takes, also of a damaged header that claims 2**64 elements.
_ENDLESS = 1 << 200


class FreeList:
    """One buffer that only ever grows. `peak`: bytes it had to have.

    Results without any bytes count, as they do there: a hole of no size can keep two others from being joined.
    """

    def __init__(self) -> None:
        # Holes by address; the last one that is not empty is what follows everything and never ends.
        self._starts: list[int] = [0]
        self._sizes: list[int] = [_ENDLESS]
        self.peak = 0

    def take(self, n_bytes: int) -> int:
        """Where a result goes. Of holes that fit equally well the last is taken."""
        n_bytes = padded(n_bytes)
        sizes, last = self._sizes, len(self._sizes) - 1
        hole, best = last, _ENDLESS
        for candidate in range(last):
            if n_bytes <= sizes[candidate] <= best:
                hole, best = candidate, sizes[candidate]
        start = self._starts[hole]
        self._starts[hole] += n_bytes
        sizes[hole] -= n_bytes
        if not sizes[hole]:
            self._remove(hole)
        self.peak = max(self.peak, start + n_bytes)
        return start

    def give(self, start: int, n_bytes: int) -> None:
        """Back into the list, joined with the holes beside it; the first hole that touches it decides."""
        n_bytes = padded(n_bytes)
        starts, sizes = self._starts, self._sizes
        for hole, (begin, size) in enumerate(zip(starts, sizes, strict=True)):
            if begin + size == start:
                sizes[hole] += n_bytes
                self._join(hole)
                return
            if start + n_bytes == begin:
                starts[hole] = start
                sizes[hole] += n_bytes
                if hole:
                    self._join(hole - 1)
                return
        hole = next((index for index, begin in enumerate(starts) if begin >= start), len(starts))
        starts.insert(hole, start)
        sizes.insert(hole, n_bytes)

    def _join(self, hole: int) -> None:
        """With the next hole, where nothing lies between."""
        if hole + 1 < len(self._starts) and self._starts[hole] + self._sizes[hole] == self._starts[hole + 1]:
            self._sizes[hole] += self._sizes[hole + 1]
            self._remove(hole + 1)

    def _remove(self, hole: int) -> None:
        del self._starts[hole], self._sizes[hole]


def padded(n_bytes: int) -> int:
    """As results are placed."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
