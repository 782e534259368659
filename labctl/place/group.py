"""Which cards of a rig may share one model."""

from dataclasses import dataclass
from itertools import combinations

from labctl.estimate.candidates.candidate import Processor, Runner
from labctl.estimate.claim import MIB
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig


@dataclass(frozen=True)
class Group:
    """Cards of one host whose memory is known; the fastest first, as CUDA counts them."""

    host: Host
    cards: tuple[Card, ...]

    @property
    def title(self) -> str:
        """As people say it: `2 × RTX 3090`."""
        counts: dict[str, int] = {}
        for card in self.cards:
            short = short_title(card.gpu)
            counts[short] = counts.get(short, 0) + 1
        return " + ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())

    @property
    def usable_mib(self) -> tuple[int, ...]:
        """Per card."""
        return tuple(card.usable_mib or 0 for card in self.cards)

    @property
    def unified(self) -> bool:
        """Whether the processor's memory is the card's: what the host takes is missing on the card."""
        return any(card.gpu.unified_memory for card in self.cards)

    @property
    def alike(self) -> bool:
        """Whether every card has the same compute capability, as tensor parallelism wants it."""
        return len({card.gpu.capability for card in self.cards}) == 1

    @property
    def runners(self) -> tuple[Runner, ...]:
        """As an estimate of speed wants them."""
        return tuple(
            Runner(card.gpu, (card.memory_mib or 0) * MIB, card.power_limit_watts) for card in self.cards
        )

    @property
    def processor(self) -> Processor:
        """The host's; unified memory is what its processor reads too."""
        cpu = self.host.cpu
        unified = [card.gpu.bandwidth_gbs for card in self.cards if card.gpu.unified_memory]
        return Processor(cpu.memory_bandwidth_gbs or next(iter(unified), None), cpu.sockets)


def short_title(gpu: Gpu) -> str:
    """As people say it, and narrow enough for a column: `RTX 4060 Ti 16G`."""
    title = gpu.title.removeprefix("NVIDIA ").removeprefix("GeForce ").replace(" GB", "G")
    return title.partition(" (")[0]


def groups(rig: Rig, most: int | None = None) -> tuple[Group, ...]:
    """Every group worth telling apart, fewest cards first.

    Of equal cards it makes no difference which are taken, so one group stands for all of that size: those with the most
    free memory. Of different cards all of each kind are taken, or none: a small one can spoil it.
    most: cards per group; None for no limit.
    """
    found: list[Group] = []
    for host in rig.hosts:
        known = [
            card for card in host.cards if card.memory_mib is not None and card.compute_mode != "prohibited"
        ]
        kinds: dict[str, list[Card]] = {}
        for card in known:
            kinds.setdefault(card.gpu.name, []).append(card)
        for alike in kinds.values():
            freest = sorted(alike, key=lambda card: (-(card.usable_mib or 0), card.index))
            found += [Group(host, _in_order(freest[:count])) for count in range(1, len(freest) + 1)]
        for count in range(2, len(kinds) + 1):
            for some in combinations(kinds.values(), count):
                found.append(Group(host, _in_order([card for alike in some for card in alike])))
    kept = [group for group in found if most is None or len(group.cards) <= most]
    return tuple(sorted(kept, key=lambda group: (len(group.cards), sum(group.usable_mib))))


def _in_order(cards: list[Card]) -> tuple[Card, ...]:
    """By speed, and so the same whichever slots the cards are in: logits lie on the last one."""
    return tuple(
        sorted(
            cards,
            key=lambda card: (
                -(card.gpu.bandwidth_gbs or 0.0),
                card.gpu.name,
                -(card.usable_mib or 0),
                card.index,
            ),
        )
    )
