"""What may be built into a host: cards that its slots take, that one driver runs, and how its power supply bears it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from labctl.place.drivers import OPEN_ONLY, PROPRIETARY_ONLY, no_common_driver
from labctl.place.power import Power, power
from labctl.place.what_if import with_added, with_power_limit, without
from labctl.power.card import power_range
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig

MOST_ADDED = 4
# A slot of one or two lanes is short: a card goes in only over a riser, which nobody means by a free slot.
LEAST_LANES = 4
# No lower limit is proposed than where decoding keeps 94 % of its speed: 200 of 350 W of an RTX 3090
# (labctl/catalog/power/rtx-3090.yaml).
LOWEST_LIMIT = (200, 350)


@dataclass(frozen=True)
class Addition:
    """Cards for one host, and the rig with them.

    replaced: cards that make room. limits: watts by card, where limits had to be lowered. lanes: of the slots the new
    cards go into, if the slots are known. power: of the host then. psu_watts_needed: None where the power supply bears
    it, or is not known.
    """

    gpu: Gpu
    count: int
    host: str
    rig: Rig
    replaced: tuple[Card, ...]
    limits: Mapping[str, int]
    lanes: tuple[int, ...] | None
    power: Power
    psu_watts_needed: int | None

    @property
    def watts(self) -> int:
        """What the host draws then, at its limits."""
        return self.power.gpu_watts + self.power.system_watts


def fits_a_slot(gpu: Gpu) -> bool:
    """Whether a person can put one into a host: a PCIe board with one GPU that a driver of today runs."""
    board = gpu.form_factor == "pcie" and gpu.gpus_per_board == 1 and not gpu.unified_memory
    return board and no_common_driver([gpu]) is None and gpu.tdp_watts is not None


def slots(host: Host) -> tuple[int, ...] | None:
    """Lanes of the slots that take a card, the widest first: with unified memory none; None where nobody said."""
    if any(card.gpu.unified_memory for card in host.cards):
        return ()
    if host.pcie_slots is None:
        return None
    return tuple(sorted((lanes for lanes in host.pcie_slots if lanes >= LEAST_LANES), reverse=True))


def most_added(host: Host) -> int:
    """How many cards may be new in this host, when all old ones go."""
    found = slots(host)
    return MOST_ADDED if found is None else min(MOST_ADDED, len(found))


def additions(rig: Rig, host: Host, gpu: Gpu, count: int) -> Iterator[Addition]:
    """The ways to build so many of this card in, the least changed first; none where the slots do not take them.

    Cards leave where no driver runs them beside the new ones, and the weakest where slots are short. Where the power
    supply is short: with lower limits; then with more cards taken out; then as it is, with the watts it would need.
    """
    leaving = _leaving(host, gpu, count)
    if leaving is None:
        return
    plain = _built(rig, host, gpu, count, leaving)
    psu = host.psu_watts
    if psu is None or plain.watts <= psu:
        yield plain
        return
    staying = [card for card in _weakest_first(host.cards) if card not in leaving]
    for more in range(len(staying) + 1):
        fewer = _built(rig, host, gpu, count, (*leaving, *staying[:more]))
        held = fewer if fewer.watts <= psu else _held(fewer, psu)
        if held is not None:
            yield held
            break
    yield replace(plain, psu_watts_needed=plain.watts)


def _leaving(host: Host, gpu: Gpu, count: int) -> tuple[Card, ...] | None:
    """The cards that have to go; None where there is no room even then."""
    against = PROPRIETARY_ONLY if gpu.architecture in OPEN_ONLY else OPEN_ONLY
    if gpu.architecture not in OPEN_ONLY | PROPRIETARY_ONLY:
        against = frozenset()
    leaving = [card for card in host.cards if card.gpu.architecture in against]
    room = slots(host)
    if room is None:
        return tuple(leaving)
    if count > len(room):
        return None
    staying = [card for card in _weakest_first(host.cards) if card not in leaving]
    short = max(0, count + len(staying) - len(room))
    return (*leaving, *staying[:short])


def _weakest_first(cards: Sequence[Card]) -> list[Card]:
    return sorted(cards, key=lambda card: (card.usable_mib or 0, card.gpu.bandwidth_gbs or 0.0, -card.index))


def _built(rig: Rig, host: Host, gpu: Gpu, count: int, leaving: tuple[Card, ...]) -> Addition:
    changed = with_added(without(rig, [card.id for card in leaving]), gpu, count, host.name)
    room = slots(host)
    staying = len(host.cards) - len(leaving)
    # The cards that are there are taken to be in the widest slots.
    lanes = None if room is None else room[staying : staying + count]
    return Addition(gpu, count, host.name, changed, leaving, {}, lanes, power(changed.host(host.name)), None)


def _held(addition: Addition, psu_watts: int) -> Addition | None:
    """With all cards held to less, in proportion to what each may lose; None where that is not enough."""
    host = addition.rig.host(addition.host)
    room = psu_watts - addition.power.system_watts
    usual = {card.id: card.power_limit_watts or card.gpu.tdp_watts or 0 for card in host.cards}
    lowest = {card.id: _lowest(card, usual[card.id]) for card in host.cards}
    if sum(lowest.values()) > room:
        return None
    give = sum(usual.values()) - sum(lowest.values())
    left = room - sum(lowest.values())
    rig, limits = addition.rig, {}
    for card in host.cards:
        watts = lowest[card.id] + (usual[card.id] - lowest[card.id]) * left // give
        if watts < usual[card.id]:
            limits[card.id] = watts
            rig = with_power_limit(rig, watts, [card.id])
    return replace(addition, rig=rig, limits=limits, power=power(rig.host(host.name)))


def _lowest(card: Card, usual: int) -> int:
    """The lowest limit to propose: the card's own least, if anybody knows it, and no crawl."""
    least, _ = power_range(card)
    if least is None:
        return usual
    watts, of_watts = LOWEST_LIMIT
    return min(usual, max(least, -(-watts * (card.gpu.tdp_watts or 0) // of_watts)))
