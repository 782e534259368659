"""Runs a graph's allocations: cut where the place changes, copies of what crosses, memory reused as results die.

Follows ggml/src/ggml-backend.cpp (splits and their inputs) and ggml/src/ggml-alloc.c (lifetimes, reuse in place).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from labctl.estimate.llama_cpp.free_list import FreeList
from labctl.estimate.llama_cpp.graph import HOST, Graph, Step, Value

# ggml keeps this many sets of inputs when cards work on successive batches at once (GGML_SCHED_MAX_COPIES).
PIPELINE_COPIES = 4


@dataclass
class _Split:
    place: int
    crossing: list[Value] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def buffer_bytes(graph: Graph, *, pipelined: bool) -> dict[int, int]:
    """Place → bytes of its compute buffer. pipelined: every input is kept in four copies."""
    return _Run(graph, PIPELINE_COPIES if pipelined else 1).peaks()


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


def _splits(graph: Graph, home: dict[Value, int]) -> list[_Split]:
    splits: list[_Split] = []
    present: set[tuple[Value, int]] = set()
    for step, place in zip(graph.steps, places(graph.steps), strict=True):
        if not splits or splits[-1].place != place:
            splits.append(_Split(place))
        split = splits[-1]
        for read in step.reads:
            if home[graph.whole(read)] != place and (read, place) not in present:
                present.add((read, place))
                split.crossing.append(read)
        if step.result is not None:
            home[step.result] = place
        split.steps.append(step)
    return splits


class _Run:
    def __init__(self, graph: Graph, copies: int) -> None:
        self.graph = graph
        self.copies = copies
        self.home = dict.fromkeys(graph.inputs, HOST) | graph.resident
        self.splits = _splits(graph, self.home)
        self.buffers = {place: FreeList() for place in {HOST, *(split.place for split in self.splits)}}
        # A value at a place: its own, or the copy made there.
        self.at: dict[tuple[Value, int], int] = {}
        self.size: dict[tuple[Value, int], int] = {}
        self.pinned: set[tuple[Value, int]] = set()
        self.uses = self._count_uses()

    def peaks(self) -> dict[int, int]:
        self._allocate_inputs()
        for split in self.splits:
            for value in split.crossing:
                self._used(self._at_home(value))
                if (value, split.place) not in self.at:
                    self._allocate((value, split.place))
            for step in split.steps:
                self._execute(step, split.place)
        return {place: buffer.peak for place, buffer in self.buffers.items()}

    def _count_uses(self) -> Counter[tuple[Value, int]]:
        uses: Counter[tuple[Value, int]] = Counter()
        for split in self.splits:
            uses.update(map(self._at_home, split.crossing))
            for step in split.steps:
                uses.update(self._here(read, split.place) for read in step.reads)
        return uses

    def _at_home(self, value: Value) -> tuple[Value, int]:
        whole = self.graph.whole(value)
        return whole, self.home[whole]

    def _here(self, value: Value, place: int) -> tuple[Value, int]:
        """What is read at a place: the result itself where it was made, its or its view's copy elsewhere."""
        home = self._at_home(value)
        return home if home[1] == place else (value, place)

    def _allocate_inputs(self) -> None:
        for value in self.graph.inputs:
            self._allocate((value, HOST), self.copies)
        if self.copies > 1:
            for split in self.splits:
                for value in split.crossing:
                    self._allocate((value, split.place), self.copies)

    def _allocate(self, key: tuple[Value, int], copies: int = 1) -> None:
        n_bytes = self.graph.n_bytes[key[0]]
        for _ in range(copies):
            self.at[key] = self.buffers[key[1]].take(n_bytes)
        self.size[key] = n_bytes
        if copies > 1:
            self.pinned.add(key)

    def _execute(self, step: Step, place: int) -> None:
        if step.result is not None:
            key = (step.result, place)
            for read in step.reuses:
                parent = (read, place)
                if self.uses[parent] == 1 and parent in self.at and parent not in self.pinned:
                    self.at[key], self.size[key] = self.at.pop(parent), self.size[parent]
                    break
            else:
                self._allocate(key)
            if step.result in self.graph.kept:
                self.pinned.add(key)
        for read in step.reads:
            self._used(self._here(read, place))

    def _used(self, key: tuple[Value, int]) -> None:
        self.uses[key] -= 1
        if not self.uses[key] and key in self.at and key not in self.pinned:
            self.buffers[key[1]].give(self.at.pop(key), self.size[key])
