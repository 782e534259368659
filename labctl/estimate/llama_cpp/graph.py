"""A graph as far as memory goes: which results exist, how large they are, who reads them, and on which card.

Places are numbered: cards from 0, the host is HOST. A view has no memory of its own where it is: whoever reads it
reads what it looks at, so it is only named where its size matters, as a copy on another card. So are caches; weights
are where they are read.
"""

from dataclasses import dataclass, field

HOST = -1
Value = int


@dataclass(frozen=True, slots=True)
class Step:
    """One operation. place: where its weight or cache is; None where it has neither and goes with its neighbours.

    result: None where it writes into a buffer that exists (a cache). reuses: reads whose memory it may take over.
    weight: name of the tensor that it applies, "" for none. looked_up: it only picks rows of one.
    borrowed: its weight is copied from the host for it.
    """

    place: int | None
    result: Value | None
    reads: tuple[Value, ...]
    reuses: tuple[Value, ...]
    weight: str = ""
    looked_up: bool = False
    borrowed: bool = False


@dataclass
class Graph:
    """Results wait until something that is executed needs them, as the engine's own order of execution comes about."""

    n_bytes: list[int] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    waiting: dict[Value, Step] = field(default_factory=dict)
    kept: set[Value] = field(default_factory=set)
    viewed: dict[Value, Value] = field(default_factory=dict)
    resident: dict[Value, int] = field(default_factory=dict)

    def input(self, n_bytes: int) -> Value:
        """What the host fills in for every batch."""
        value = self._value(n_bytes)
        self.inputs.append(value)
        return value

    def cache(self, place: int, n_bytes: int) -> Value:
        """What lies in a buffer of its own at a place; only its copies elsewhere take room here."""
        value = self._value(n_bytes)
        self.resident[value] = place
        return value

    def op(self, place: int | None, n_bytes: int, *reads: Value, weight: str = "") -> Value:
        """A result in memory of its own."""
        value = self._value(n_bytes)
        self.waiting[value] = Step(place, value, reads, (), weight)
        return value

    def look_up(self, place: int, n_bytes: int, rows: Value) -> Value:
        """Rows of a matrix."""
        value = self._value(n_bytes)
        self.waiting[value] = Step(place, value, (rows,), (), looked_up=True)
        return value

    def view(self, n_bytes: int, of: Value) -> Value:
        """A part of a result, gaps between its rows included: another card gets a copy of so many bytes."""
        value = self._value(n_bytes)
        self.viewed[value] = self.whole(of)
        return value

    def whole(self, value: Value) -> Value:
        """The result that has the memory."""
        return self.viewed.get(value, value)

    def over(self, place: int | None, *reads: Value, viewed: tuple[Value, ...] = ()) -> Value:
        """A result in the memory of the first of `reads` that is as large and that nobody else needs.

        viewed: read through a view. The memory behind a view is never taken over, but that of its copy elsewhere is.
        """
        size = self.n_bytes[reads[0]]
        value = self._value(size)
        viewed = tuple(
            read if read in self.viewed else self.view(self.n_bytes[read], read) for read in viewed
        )
        reusable = tuple(read for read in (*reads, *viewed) if self.n_bytes[read] == size)
        self.waiting[value] = Step(place, value, (*reads, *viewed), reusable)
        return value

    def keep(self, value: Value) -> None:
        """Somebody outside reads it: it is never freed."""
        self.kept.add(value)

    def write(self, into: Value, *reads: Value) -> None:
        """Writes into a result that exists and that nobody reads: the engine then never frees it."""
        self.keep(into)
        self.expand(*reads, into)
        self.steps.append(Step(None, None, (*reads, into), ()))

    def expand(self, *values: Value) -> None:
        """Put what these need into the order of execution, each result after what it reads, first reads first."""
        stack = [(value, False) for value in reversed(values)]
        while stack:
            value, ready = stack.pop()
            whole = self.whole(value)
            step = self.waiting.get(whole)
            if step is None:
                continue
            if ready:
                self.steps.append(self.waiting.pop(whole))
            else:
                stack.append((whole, True))
                stack.extend((read, False) for read in reversed(step.reads))

    def store(self, place: int | None, *reads: Value) -> None:
        """Writes into a cache."""
        self.expand(*reads)
        self.steps.append(Step(place, None, reads, ()))

    def _value(self, n_bytes: int) -> Value:
        self.n_bytes.append(n_bytes)
        return len(self.n_bytes) - 1
