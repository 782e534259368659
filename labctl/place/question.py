"""What placement is asked, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.errors import BadInput
from labctl.place.options import Wish
from labctl.place.problem import Incumbent
from labctl.rig.rig import Rig


@dataclass(frozen=True)
class Question:
    """What is asked. incumbents: where what runs now is, by workload; rebalance: it may move if that is better.

    where, rig_where: what a message about workloads or rig names, usually their files. assumptions: how the rig differs
    from the one that is there, in words.
    """

    wishes: tuple[Wish, ...]
    rig: Rig
    incumbents: Mapping[str, Incumbent] = field(default_factory=dict)
    rebalance: bool = False
    where: str = "workloads"
    assumptions: tuple[str, ...] = ()
    rig_where: str | None = None


def refuse_unknown(question: Question) -> None:
    """Raises BadInput for unified memory of unknown size: no claim could be held against it."""
    for host in question.rig.hosts:
        if host.ram_mib is None and any(card.gpu.unified_memory for card in host.cards):
            raise BadInput(
                "unified memory is RAM, and how much there is is not said",
                where=f"{question.rig_where or question.rig.name}: hosts.{host.name}.ram_gib",
                expected="a number, as 128",
            )
