"""Runs a graph's allocations: cut where the place changes, copies of what crosses, memory reused as results die.

Follows ggml/src/ggml-backend.cpp (splits and their inputs) and ggml/src/ggml-alloc.c (lifetimes, reuse in place).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from labctl.estimate.llama_cpp.free_list import FreeList
from labctl.estimate.llama_cpp.graph import HOST, Graph, Step, Value

# ggml keeps this many sets of inputs when cards work on successive batches at once (GGML_SCHED_MAX_COPIES).
PIPELINE_COPIES = 4
# Weights of norms and biases: what a row of them takes, more or less.
_VECTOR = 16 * 1024


@dataclass
class _Split:
    place: int
    crossing: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def buffer_bytes(
    graph: Graph, *, pipelined: bool, borrowed: Mapping[str, int] | None = None
) -> dict[int, int]:
    """Place → bytes of its compute buffer. pipelined: every input is kept in four copies.

    borrowed: bytes of the tensors by name, where the first card computes what the host has them for, from copies.
    """
    if borrowed is not None:
        graph = _borrowed(graph, borrowed)
    return _Run(graph, PIPELINE_COPIES if pipelined else 1).peaks()


def _borrowed(graph: Graph, weights: Mapping[str, int]) -> Graph:
    """With large batches a card with CUDA takes over every step of the host that has a weight, and its weight."""
    graph = replace(graph, n_bytes=list(graph.n_bytes), resident=dict(graph.resident))
    graph.steps = [
        step
        if step.place != HOST or step.result is None or step.looked_up
        else replace(
            step,
            place=0,
            reads=(graph.cache(HOST, weights.get(step.weight) or _VECTOR), *step.reads),
            borrowed=True,
        )
        for step in graph.steps
    ]
    return graph


def places(steps: Sequence[Step]) -> list[int]:
    """Where each step runs: cards spread down, then up, over steps without a place; the host takes what is left."""
    found = [step.place for step in steps]
    forwards = range(len(found))
    for cards_only, order in (
        (True, forwards),
        (True, reversed(forwards)),
        (False, forwards),
        (False, reversed(forwards)),
    ):
        current: int | None = None
        for index in order:
            place = found[index]
            if place is None:
                found[index] = current
            else:
                current = None if cards_only and place == HOST else place
    return [HOST if place is None else place for place in found]


class _Run:
    """A value at a place (its own memory, or the copy made there) has a number: value · `_width` + place + 1."""

    def __init__(self, graph: Graph, copies: int) -> None:
        self._graph = graph
        self._copies = copies
        self._whole = list(range(len(graph.n_bytes)))
        for value, whole in graph.viewed.items():
            self._whole[value] = whole
        found = places(graph.steps)
        self._width = 2 + max((HOST, *found, *graph.resident.values()))
        self._home = [HOST] * len(graph.n_bytes)
        for value, place in graph.resident.items():
            self._home[value] = place
        self._splits = self._cut(found)
        self._buffers = {place: FreeList() for place in {HOST, *(split.place for split in self._splits)}}
        count = len(graph.n_bytes) * self._width
        self._at: list[int | None] = [None] * count
        self._size = [0] * count
        self._pinned = [False] * count
        self._uses = [0] * count
        self._reads = self._count_uses()

    def _cut(self, found: Sequence[int]) -> list[_Split]:
        splits: list[_Split] = []
        present: set[int] = set()
        home, whole, width = self._home, self._whole, self._width
        for step, place in zip(self._graph.steps, found, strict=True):
            # A borrowed weight begins anew, so that the memory of the one before can be used for it.
            if not splits or splits[-1].place != place or (step.borrowed and splits[-1].crossing):
                splits.append(_Split(place))
            split = splits[-1]
            for read in step.reads:
                if home[whole[read]] != place and (key := read * width + place + 1) not in present:
                    present.add(key)
                    split.crossing.append(read)
            if step.result is not None:
                home[step.result] = place
            split.steps.append(step)
        return splits

    def peaks(self) -> dict[int, int]:
        self._allocate_inputs()
        reads = iter(self._reads)
        at, width = self._at, self._width
        for split in self._splits:
            for value in split.crossing:
                self._used(self._at_home(value))
                if at[key := value * width + split.place + 1] is None:
                    self._allocate(key)
            for step in split.steps:
                self._execute(step, split.place, next(reads))
        return {place: buffer.peak for place, buffer in self._buffers.items()}

    def _count_uses(self) -> list[list[int]]:
        """Who is read how often; returns what each step reads."""
        uses, found = self._uses, []
        for split in self._splits:
            for value in split.crossing:
                uses[self._at_home(value)] += 1
            for step in split.steps:
                here = [self._here(read, split.place) for read in step.reads]
                for key in here:
                    uses[key] += 1
                found.append(here)
        return found

    def _at_home(self, value: Value) -> int:
        whole = self._whole[value]
        return whole * self._width + self._home[whole] + 1

    def _here(self, value: Value, place: int) -> int:
        """What is read at a place: the result itself where it was made, its or its view's copy elsewhere."""
        whole = self._whole[value]
        return (whole if self._home[whole] == place else value) * self._width + place + 1

    def _allocate_inputs(self) -> None:
        for value in self._graph.inputs:
            self._allocate(value * self._width + HOST + 1, self._copies)
        if self._copies > 1:
            for split in self._splits:
                for value in split.crossing:
                    self._allocate(value * self._width + split.place + 1, self._copies)

    def _allocate(self, key: int, copies: int = 1) -> None:
        value, place = divmod(key, self._width)
        n_bytes = self._graph.n_bytes[value]
        for _ in range(copies):
            self._at[key] = self._buffers[place - 1].take(n_bytes)
        self._size[key] = n_bytes
        if copies > 1:
            self._pinned[key] = True

    def _execute(self, step: Step, place: int, reads: Sequence[int]) -> None:
        if step.result is not None:
            key = step.result * self._width + place + 1
            for read in step.reuses:
                parent = self._here(read, place)
                if self._uses[parent] == 1 and parent // self._width == read:
                    begin = self._at[parent]
                    if begin is not None and not self._pinned[parent]:
                        self._at[parent] = None
                        self._at[key], self._size[key] = begin, self._size[parent]
                        break
            else:
                self._allocate(key)
            if step.result in self._graph.kept:
                self._pinned[key] = True
        for each in reads:
            self._used(each)

    def _used(self, key: int) -> None:
        self._uses[key] -= 1
        if not self._uses[key]:
            begin = self._at[key]
            if begin is not None and not self._pinned[key]:
                self._at[key] = None
                self._buffers[key % self._width - 1].give(begin, self._size[key])
