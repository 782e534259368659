"""What placement is asked, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.place.options import Wish
from labctl.place.problem import Incumbent
from labctl.rig.rig import Rig


@dataclass(frozen=True)
class Question:
    """What is asked. incumbents: where what runs now is, by workload; rebalance: it may move if that is better.

    where: what a message about it names, usually the workloads file. assumptions: how the rig differs from the one that
    is there, in words.
    """

    wishes: tuple[Wish, ...]
    rig: Rig
    incumbents: Mapping[str, Incumbent] = field(default_factory=dict)
    rebalance: bool = False
    where: str = "workloads"
    assumptions: tuple[str, ...] = ()
