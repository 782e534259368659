"""From wishes and a rig to the problem that the solver is given."""

from collections.abc import Iterable, Mapping

from labctl.place.options import Offered, Wish, offered
from labctl.place.problem import Card, Host, Incumbent, Problem, Workload
from labctl.rig.rig import Host as RigHost
from labctl.rig.rig import Rig

# Board, fans, disks and memory beside the processor: PLACEMENT's figure, `host_watts` of a rig file overrides it all.
BESIDE_CPU_WATTS = 75
_MIB_PER_GIB = 1024


def build(
    wishes: Iterable[Wish],
    rig: Rig,
    *,
    incumbents: Mapping[str, Incumbent] | None = None,
    rebalance: bool = False,
) -> Problem:
    """Every option of every workload on this rig. incumbents: how what runs now is run, by workload."""
    running = {name: each.variant_id for name, each in (incumbents or {}).items()}
    offers = ((wish, offered(wish, rig, running.get(wish.workload.name))) for wish in wishes)
    return assembled(offers, rig, incumbents=incumbents, rebalance=rebalance)


def assembled(
    offers: Iterable[tuple[Wish, Offered]],
    rig: Rig,
    *,
    incumbents: Mapping[str, Incumbent] | None = None,
    rebalance: bool = False,
) -> Problem:
    """The same with only these options."""
    found = {wish.workload.name: (wish, offer) for wish, offer in offers}
    running = incumbents or {}
    names = {(card.host, card.index): card.id for card in rig.cards}
    return Problem(
        hosts=tuple(_host(host) for host in rig.hosts),
        cards=tuple(
            Card(
                card.id,
                card.host,
                card.usable_mib or 0,
                tuple(sorted(names[card.host, peer] for peer in card.nvlink)),
                card.foreign_mib > 0,
                card.gpu.unified_memory,
            )
            for card in rig.cards
        ),
        workloads=tuple(_workload(wish, offer, running.get(name)) for name, (wish, offer) in found.items()),
        options=tuple(option for _, offer in found.values() for option in offer.options),
        rebalance=rebalance,
    )


def _host(host: RigHost) -> Host:
    return Host(
        name=host.name,
        ram_mib=_ram_mib(host),
        disk_mib=None if host.disk_gib is None else host.disk_gib * _MIB_PER_GIB,
        psu_watts=host.psu_watts,
        watts=host_watts(host) + gpu_watts(host),
    )


def _ram_mib(host: RigHost) -> int | None:
    """What may be claimed. Where a card shares it, what others hold and the card's margin are missing here, too."""
    pool = host.ram_mib
    for card in host.cards:
        if pool is not None and card.gpu.unified_memory and card.memory_mib is not None:
            pool = max(0, min(pool, card.memory_mib) - card.foreign_mib - card.reserved_mib)
    return pool


def gpu_watts(host: RigHost) -> int:
    """The limits of all installed cards; a card's TDP where no limit is said, 0 where neither is known."""
    return sum(card.power_limit_watts or card.gpu.tdp_watts or 0 for card in host.cards)


def host_watts(host: RigHost) -> int:
    """What the machine draws beside its cards."""
    if host.host_watts is not None:
        return host.host_watts
    return (host.cpu.tdp_watts or 0) + BESIDE_CPU_WATTS


def _workload(wish: Wish, offer: Offered, incumbent: Incumbent | None) -> Workload:
    asked, service = wish.workload, wish.service
    capped = asked.vram_mib is not None or wish.candidate is not None
    return Workload(
        name=asked.name,
        priority=asked.priority,
        load=asked.load,
        stateful=service.stateful,
        exclusive=asked.gpus.exclusive,
        elastic=service.elastic and not capped,
        apart_from=asked.apart_from,
        displaces=asked.displaces,
        window=(asked.when.start, asked.when.end) if asked.when else None,
        incumbent=incumbent,
        barred=offer.barred,
    )
