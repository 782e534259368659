"""A change that would help a workload without a place: what to write, what it gives, and what it takes away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from labctl.place.options import Wish
from labctl.place.placement import Question
from labctl.rig.gpu import Gpu
from labctl.workloads.workload import Workload

# In the order of how little they take away, which is the order they are shown in.
Kind = Literal[
    "kv_type",
    "context",
    "size",
    "parallel",
    "quant",
    "optimizer",
    "offload",
    "cap",
    "port",
    "move",
    "time_share",
    "power_limit",
    "pin",
    "processor",
    "model",
    "psu",
    "ram",
    "disk",
    "card",
    "swap",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What has to be bought.
BOUGHT: frozenset[Kind] = frozenset({"psu", "ram", "disk", "card", "swap"})


@dataclass(frozen=True)
class Change:
    """A question that differs, and how a person would make it so.

    writes: lines for the workloads file as `chat.kv_type: q8_0`, words for the command line as `--add rtx-3060`, or
    lines for the rig file; together they are all that differs. note: what they mean. kinds: one, or of a combination
    each. on: the workloads whose entries change; none where it is the rig.
    """

    kinds: tuple[Kind, ...]
    writes: tuple[str, ...]
    note: str
    question: Question
    on: tuple[str, ...] = ()

    def burden(self, workload: str) -> tuple[int, ...]:
        """For sorting: less first. What is changed for its own sake goes before what another is to give up."""
        heaviest = sorted((KINDS.index(kind) for kind in self.kinds), reverse=True)
        bought = sum(kind in BOUGHT for kind in self.kinds)
        others = sum(name != workload for name in self.on)
        return (bought, len(self.kinds), heaviest[0], others, *heaviest[1:])


@dataclass(frozen=True)
class Worse:
    """A workload that pays for it. loses: its place; otherwise it runs in another variant than before.

    tokens_per_second: before and after, where known.
    """

    workload: str
    loses: bool
    tokens_per_second: tuple[float | None, float | None]


@dataclass(frozen=True)
class Suggestion:
    """A change that was tried: with it `workload` has a place, and none of equal or higher priority loses its own.

    change: what to write, in words around lines in backticks. writes: those lines alone. saves_mib: how much less the
    changed workload asks of all its cards together at least; None where it is not about memory.
    cards: where the workload then is; empty on the processor. tokens_per_second: its own, then; None where unknown.
    worse: who pays for it; also: who else had no place and has one then.
    """

    workload: str
    change: str
    writes: tuple[str, ...]
    kinds: tuple[Kind, ...]
    saves_mib: int | None
    host: str
    cards: tuple[str, ...]
    tokens_per_second: float | None
    worse: tuple[Worse, ...]
    also: tuple[str, ...] = ()


class Alternatives(Protocol):
    """What else there is to choose from: the catalogue, which only an edge can read."""

    def wish(self, workload: Workload) -> Wish | None:
        """A changed entry with what it loads; None where that cannot be had."""
        ...

    def formats(self, wish: Wish) -> Sequence[str]:
        """Every format that the model comes in, finest first; none for a file, which has the one it has."""
        ...

    def bits(self, quant: str) -> float:
        """Per weight."""
        ...

    def smaller_models(self, wish: Wish) -> Sequence[str]:
        """Of the same family or for the same use, largest first."""
        ...

    def cards(self) -> Sequence[Gpu]:
        """Those that a person could add, the least first."""
        ...
