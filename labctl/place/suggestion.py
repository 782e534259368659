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
    "driver",
    "pin",
    "hours",
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
class Written:
    """lines: for the workloads file as `chat.kv_type: q8_0`, for the command line as `--add rtx-3060`, for the rig file
    as `hosts.box.psu_watts: 650`. note: what they mean.
    """

    lines: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Change:
    """A question that differs, and how a person would make it so.

    kinds: one, or of a combination each. written: all that differs. on: the workloads whose entries change; none where
    it is the rig.
    """

    kinds: tuple[Kind, ...]
    written: tuple[Written, ...]
    question: Question
    on: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[str, ...]:
        """All lines."""
        return tuple(line for each in self.written for line in each.lines)

    def __str__(self) -> str:
        """`chat.kv_type: q8_0` (its KV cache in 8 bits, hardly any loss)."""
        return " and ".join(
            f"{' and '.join(f'`{line}`' for line in each.lines)} ({each.note})" for each in self.written
        )


@dataclass(frozen=True)
class Worse:
    """A workload that pays for it. loses: its place; otherwise it runs in another variant than before.

    tokens_per_second: before and after, where known.
    """

    workload: str
    loses: bool
    tokens_per_second: tuple[float | None, float | None]

    @property
    def harm(self) -> int:
        """2 for a lost place, 1 for less than half of the speed, 0 for what is hardly felt."""
        before, after = self.tokens_per_second
        much = before is not None and after is not None and 2 * after < before
        return 2 if self.loses else int(much)


@dataclass(frozen=True)
class Suggestion:
    """A change that was tried: with it `workload` has a place, and none of equal or higher priority loses its own.

    change: what to write, in words around lines in backticks. writes: those lines alone. saves_mib: how much less the
    changed workload asks of all its cards together at least; None where it is not about memory.
    cards: where the workload then is; empty on the processor. tokens_per_second: its own, then; None where unknown.
    worse: who pays for it; also: who else had no place and has one then. on: whose entries change.
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
    on: tuple[str, ...] = ()

    @property
    def burden(self) -> tuple[int, ...]:
        """For sorting, less first: money, how many changes, how badly others fare, then the kind and whose entry it is.

        So nobody is sent to the processor for what a limit lifted would do as well.
        """
        costs = sum(kind in BOUGHT for kind in self.kinds)
        # A limit that goes with a purchase is set once: no reason for a dearer card.
        counted = [kind for kind in self.kinds if not (costs and kind == "power_limit")]
        heaviest = sorted((KINDS.index(kind) for kind in counted), reverse=True)
        others = sum(name != self.workload for name in self.on)
        harm = sum(each.harm for each in self.worse)
        return (costs, len(counted), harm, heaviest[0], others, *heaviest[1:])


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
