"""Levers on the rig: what a host's power supply, RAM and disk would have to be, and which card would do."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from labctl.place.build import gpu_watts, host_watts
from labctl.place.drivers import no_common_driver
from labctl.place.group import short_title
from labctl.place.placement import Placement, Question
from labctl.place.suggestion import Change, Kind
from labctl.place.suggestion_levers import Ladder, Lever
from labctl.place.what_if import power_range, with_added, with_power_limit, with_ram, without
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig, default_reserved_mib, visible_mib

# As they are sold: kits of memory modules, power supplies, disks.
RAM_GIB = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
PSU_WATTS = (300, 400, 450, 500, 550, 600, 650, 750, 850, 1000, 1200, 1300, 1600, 2000, 2400, 3000)
DISK_GIB = (128, 256, 512, 1000, 2000, 4000, 8000, 16000, 32000)
_MIB_PER_GIB = 1024
# More than three sizes up would be another machine.
_STEPS = 3
_LIMIT_STEP_WATTS = 5
# So many cards are tried, each of another size.
MOST_CARDS = 4


def _lever(kind: Kind, writes: Sequence[str], note: str, change: Callable[[Rig], Rig]) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        return Change((kind,), tuple(writes), note, replace(question, rig=change(question.rig)))

    return Lever(kind, apply)


def _on(rig: Rig, host: Host) -> str:
    """How the command line says which host; nothing where there is one."""
    return "" if len(rig.hosts) == 1 else f":{host.name}"


def limits_lowered(rig: Rig, more_watts: int = 0) -> Iterator[Ladder]:
    """On hosts that would draw more than their power supply gives: every card held to an equal share of what it leaves.

    more_watts: that a new card would draw beside what is there.
    """
    for host in rig.hosts:
        if (spare := spare_watts(host)) is not None and spare < more_watts:
            yield from _held(host, [card for card in host.cards if _limit(card)], spare - more_watts)


def _held(host: Host, drawing: list[Card], spare: int) -> Iterator[Ladder]:
    left, cards = gpu_watts(host) + spare, sorted(drawing, key=_limit)
    share = 0
    while cards:
        share = left // len(cards) // _LIMIT_STEP_WATTS * _LIMIT_STEP_WATTS
        if _limit(cards[0]) > share:
            break
        left -= _limit(cards.pop(0))
    if not cards or any(share < (power_range(card)[0] or 1) for card in cards):
        return
    ids = [card.id for card in sorted(cards, key=lambda card: card.index)]
    yield (
        _lever(
            "power_limit",
            [f"--power-limit {each}={share}" for each in ids],
            f"held to {share} W, a little slower",
            lambda rig: with_power_limit(rig, share, ids),
        ),
    )


def _limit(card: Card) -> int:
    return card.power_limit_watts or card.gpu.tdp_watts or 0


def psu_enlarged(rig: Rig) -> Iterator[Ladder]:
    """The smallest that is sold and carries all that is there, on hosts that draw more than theirs gives."""
    for host in rig.hosts:
        if (spare_watts(host) or 0) < 0 and not _unified(host) and (lever := psu_lever(host, 0)):
            yield (lever,)


def psu_lever(host: Host, more_watts: int) -> Lever | None:
    """A power supply for the host as it is and so many watts more; None where none is sold."""
    needed = gpu_watts(host) + host_watts(host) + more_watts
    watts = next((each for each in PSU_WATTS if each >= needed), None)
    if watts is None:
        return None
    return _lever(
        "psu",
        [f"hosts.{host.name}.psu_watts: {watts}"],
        f"a power supply of {watts} W in {host.name}",
        lambda rig: _changed(rig, host.name, lambda found: replace(found, psu_watts=watts)),
    )


def ram_added(rig: Rig) -> Iterator[Ladder]:
    """The next sizes of RAM, on hosts whose memory can be changed."""
    for host in rig.hosts:
        if host.ram_mib is None or _unified(host):
            continue
        held = host.ram_mib
        more = [each for each in RAM_GIB if each * _MIB_PER_GIB > held * 1.1][:_STEPS]
        yield tuple(_ram(host, gib, _on(rig, host)) for gib in more)


def _ram(host: Host, gib: int, on: str) -> Lever:
    return _lever(
        "ram",
        [f"--ram {gib}{on}"],
        f"{gib} GiB of RAM in {host.name} where there are {(host.ram_mib or 0) / _MIB_PER_GIB:.0f}",
        lambda rig: with_ram(rig, gib, host.name),
    )


def disk_added(rig: Rig) -> Iterator[Ladder]:
    """The next sizes of disk."""
    for host in rig.hosts:
        if host.disk_gib is None:
            continue
        held = host.disk_gib
        yield tuple(_disk(host, gib) for gib in [each for each in DISK_GIB if each > held * 1.1][:_STEPS])


def _disk(host: Host, gib: int) -> Lever:
    return _lever(
        "disk",
        [f"hosts.{host.name}.disk_gib: {gib}"],
        f"a larger disk in {host.name}, which has {host.disk_gib} GiB",
        lambda rig: _changed(rig, host.name, lambda found: replace(found, disk_gib=gib)),
    )


def cards_that_do(
    cards: Sequence[Gpu], beside: Sequence[Card], need_mib: int, most_watts: int | None
) -> Iterator[Gpu]:
    """One of each size of memory that holds so much, least first, if one driver runs it beside those that stay.

    need_mib: the claim; most_watts: that it may draw.
    """
    there = {card.gpu.name for card in beside}
    fitting = [
        gpu
        for gpu in cards
        if usable_mib(gpu) >= need_mib
        and (most_watts is None or (gpu.tdp_watts is not None and gpu.tdp_watts <= most_watts))
        and no_common_driver((*(card.gpu for card in beside), gpu)) is None
    ]
    # A card like those that are there goes first: people know it, and models may be shared with it.
    found: dict[int, Gpu] = {}
    for gpu in sorted(fitting, key=lambda each: each.name not in there):
        found.setdefault(gpu.memory_mib, gpu)
    yield from [found[size] for size in sorted(found)][:MOST_CARDS]


def usable_mib(gpu: Gpu) -> int:
    """What claims may fill of a new card."""
    visible = visible_mib(gpu)
    return visible - default_reserved_mib(visible)


def card_lever(rig: Rig, host: Host, gpu: Gpu, count: int) -> Lever:
    """So many more cards."""
    named = f"{short_title(gpu)} of {gpu.tdp_watts} W" if gpu.tdp_watts else short_title(gpu)
    many = f"{count} × {named} more" if count > 1 else f"a {named} more"
    return _lever(
        "card",
        [_add(rig, host.name, gpu, count)],
        f"{many} in {host.name}",
        lambda found: with_added(found, gpu, count, host.name),
    )


def swap_lever(rig: Rig, card: Card, gpu: Gpu) -> Lever:
    """Another card in the slot of one."""
    return _lever(
        "swap",
        [f"--without {card.id}", _add(rig, card.host, gpu, 1)],
        f"a {short_title(gpu)} of {gpu.tdp_watts} W in the place of a {short_title(card.gpu)}",
        lambda found: with_added(without(found, [card.id]), gpu, 1, card.host),
    )


def _add(rig: Rig, host: str, gpu: Gpu, count: int) -> str:
    if len(rig.hosts) > 1:
        return f"--add {gpu.name}:{count}:{host}"
    return f"--add {gpu.name}:{count}" if count > 1 else f"--add {gpu.name}"


def spare_watts(host: Host) -> int | None:
    """What the power supply has left at the limits; None where nobody knows it."""
    return None if host.psu_watts is None else host.psu_watts - gpu_watts(host) - host_watts(host)


def _unified(host: Host) -> bool:
    return any(card.gpu.unified_memory for card in host.cards)


def _changed(rig: Rig, name: str, change: Callable[[Host], Host]) -> Rig:
    return replace(rig, hosts=tuple(change(host) if host.name == name else host for host in rig.hosts))
