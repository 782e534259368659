"""Levers on the rig: what a host's power supply, RAM and disk would have to be, and which card would do."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from labctl.place.additions import Addition
from labctl.place.build import gpu_watts, host_watts
from labctl.place.drivers import oldest_driver
from labctl.place.group import short_title
from labctl.place.placement import Placement, Question
from labctl.place.prices import USUAL_CURRENCY, price_in
from labctl.place.suggestion import Change, Kind, Written
from labctl.place.suggestion_levers import Ladder, Lever
from labctl.place.what_if import with_power_limit, with_ram
from labctl.power.card import power_range
from labctl.rig.rig import Card, Host, Rig
from labctl.workloads.service import Service

# As they are sold: kits of memory modules, power supplies, disks.
RAM_GIB = (4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
PSU_WATTS = (300, 400, 450, 500, 550, 600, 650, 750, 850, 1000, 1200, 1300, 1600, 2000, 2400, 3000)
DISK_GIB = (128, 256, 512, 1000, 2000, 4000, 8000, 16000, 32000)
_MIB_PER_GIB = 1024
# More than three sizes up would be another machine.
_STEPS = 3
_LIMIT_STEP_WATTS = 5
# Nothing is bought that leaves a power supply less: spikes are higher than limits, and it ages.
SPARE_PERCENT = 10
# Cards for servers, cooled by the server's own fans: in a desktop they overheat within minutes.
_PASSIVE = re.compile(r"^tesla-|^a(2|10|30|40)$|^a100-|^l(4|20|40|40s)$|-server$")


def _lever(kinds: tuple[Kind, ...], writes: Sequence[str], note: str, change: Callable[[Rig], Rig]) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        return Change(kinds, (Written(tuple(writes), note),), replace(question, rig=change(question.rig)))

    return Lever(kinds[0], apply)


def _on(rig: Rig, host: Host) -> str:
    """How the command line says which host; nothing where there is one."""
    return "" if len(rig.hosts) == 1 else f":{host.name}"


def limits_lowered(rig: Rig) -> Iterator[Ladder]:
    """On hosts that draw more than their power supply gives: every card held to an equal share of what it leaves."""
    for host in rig.hosts:
        if (spare := spare_watts(host)) is not None and spare < 0:
            yield from _held(host, [card for card in host.cards if _limit(card)], spare)


def _held(host: Host, drawing: list[Card], spare: int) -> Iterator[Ladder]:
    left, cards = gpu_watts(host) + spare, sorted(drawing, key=_limit)
    share = 0
    while cards:
        share = left // len(cards) // _LIMIT_STEP_WATTS * _LIMIT_STEP_WATTS
        if _limit(cards[0]) > share:
            break
        left -= _limit(cards.pop(0))
    if not cards or any(share < _least_watts(card) for card in cards):
        return
    ids = [card.id for card in sorted(cards, key=lambda card: card.index)]
    yield (
        _lever(
            ("power_limit",),
            [f"--power-limit {each}={share}" for each in ids],
            f"held to {share} W, a little slower",
            lambda rig: with_power_limit(rig, share, ids),
        ),
    )


def _least_watts(card: Card) -> float:
    """Where nobody knows how low a card's limit goes, half of it is a fair guess."""
    least, _ = power_range(card)
    return least if least is not None else _limit(card) / 2


def _limit(card: Card) -> int:
    return card.power_limit_watts or card.gpu.tdp_watts or 0


def driver_renewed(rig: Rig, service: Service) -> Iterator[Ladder]:
    """On hosts whose driver is too old for a service: the oldest that all of their cards need for it."""
    for host in rig.hosts:
        if needed := oldest_driver(service, host.driver, [card.gpu for card in host.cards]):
            yield (_driver(host, needed),)


def _driver(host: Host, needed: str) -> Lever:
    return _lever(
        ("driver",),
        [f'hosts.{host.name}.driver: "{needed}"'],
        f"driver {needed} or newer in the place of {host.driver}; `labctl preflight` says which it would get",
        lambda rig: changed_host(rig, host.name, lambda found: replace(found, driver=needed)),
    )


def psu_enlarged(rig: Rig) -> Iterator[Ladder]:
    """The smallest that is sold and carries all that is there, on hosts that draw more than theirs gives."""
    for host in rig.hosts:
        if (spare_watts(host) or 0) < 0 and not _unified(host) and (lever := _psu(host)):
            yield (lever,)


def _psu(host: Host) -> Lever | None:
    watts = psu_of(gpu_watts(host) + host_watts(host))
    if watts is None:
        return None
    return _lever(
        ("psu",),
        [f"hosts.{host.name}.psu_watts: {watts}"],
        f"a power supply of {watts} W",
        lambda rig: changed_host(rig, host.name, lambda found: replace(found, psu_watts=watts)),
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
        ("ram",),
        [f"--ram {gib}{on}"],
        f"RAM: {gib} GiB in the place of {(host.ram_mib or 0) / _MIB_PER_GIB:.0f}",
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
        ("disk",),
        [f"hosts.{host.name}.disk_gib: {gib}"],
        f"a disk of {gib} GiB in the place of {host.disk_gib}",
        lambda rig: changed_host(rig, host.name, lambda found: replace(found, disk_gib=gib)),
    )


def cards_lever(rig: Rig, built: Addition, psu_watts: int | None = None) -> Lever:
    """New cards, as built into the rig. psu_watts: of the larger power supply that goes with them."""
    gpu, host = built.gpu, built.host
    several = "" if len(rig.hosts) == 1 and built.count == 1 else f":{built.count}"
    several += "" if len(rig.hosts) == 1 else f":{host}"
    writes = [
        *(f"--without {card.id}" for card in built.replaced),
        f"--add {gpu.name}{several}",
        *(f"--power-limit {card}={watts}" for card, watts in built.limits.items()),
    ]
    many = f"{built.count} × " if built.count > 1 else ""
    note = f"{many}{short_title(gpu)} of {gpu.tdp_watts} W"
    if price := price_in(gpu, USUAL_CURRENCY):
        note += f", about {price.amount * built.count:.0f} {price.currency}"
    if _PASSIVE.search(gpu.name):
        note += ", needs a fan of its own"
    changed = built.rig
    if psu_watts is not None:
        writes.append(f"hosts.{host}.psu_watts: {psu_watts}")
        note += f", and a power supply of {psu_watts} W"
        changed = changed_host(changed, host, lambda found: replace(found, psu_watts=psu_watts))
    kinds: list[Kind] = ["swap" if built.replaced else "card"]
    kinds += ["power_limit"] if built.limits else []
    kinds += ["psu"] if psu_watts is not None else []
    return _lever(tuple(kinds), writes, note, lambda found: _merged(found, rig, changed))


def _merged(found: Rig, before: Rig, changed: Rig) -> Rig:
    """New cards in a rig that another lever has changed: of each host what differs is taken."""
    hosts = []
    for host in found.hosts:
        old, new = before.host(host.name), changed.host(host.name)
        psu = new.psu_watts if new.psu_watts != old.psu_watts else host.psu_watts
        hosts.append(replace(host, cards=new.cards, psu_watts=psu))
    return replace(found, hosts=tuple(hosts))


def psu_of(watts: int) -> int | None:
    """The smallest that is sold and gives so much with some to spare; None where none does."""
    return next((each for each in PSU_WATTS if spared(each) >= watts), None)


def spared(psu_watts: int) -> int:
    """What of a power supply to make use of, in watts: all but a tenth."""
    return psu_watts * (100 - SPARE_PERCENT) // 100


def spare_watts(host: Host) -> int | None:
    """What the power supply has left at the limits; None where nobody knows it."""
    return None if host.psu_watts is None else host.psu_watts - gpu_watts(host) - host_watts(host)


def _unified(host: Host) -> bool:
    return any(card.gpu.unified_memory for card in host.cards)


def changed_host(rig: Rig, name: str, change: Callable[[Host], Host]) -> Rig:
    """The rig with one of its hosts changed."""
    return replace(rig, hosts=tuple(change(host) if host.name == name else host for host in rig.hosts))
