"""A rig as it would be: with cards added or taken out, another power limit, other RAM. Rig in, rig out.

Cards that stay keep their id and their number, so that a plan made before still names them.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from labctl.errors import BadInput
from labctl.power.card import power_range
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig, default_reserved_mib, visible_mib

# As a rig file allows (`rig_file`): more than any board takes.
MOST_CARDS, MOST_RAM_GIB = 64, 16 * 1024


def with_added(rig: Rig, gpu: Gpu, count: int = 1, host: str | None = None) -> Rig:
    """The rig with so many more of this card, as the catalogue knows it, without NVLink and at its own power limit.

    They are called HOST/new-1 and so on: a number would be the name of a card that was taken out. host: needed where
    there are several. Raises BadInput for a host that is not there, and for a machine that is no card.
    """
    if gpu.unified_memory:
        raise BadInput(
            "that is a machine of its own, not a card",
            found=gpu.name,
            hint="give it as a second host of the rig file",
        )
    if count < 1:
        raise BadInput("not a number of cards", found=str(count), expected="1 or more")
    target = _host(rig, host)
    if len(target.cards) + count > MOST_CARDS:
        raise BadInput(
            "no host takes so many cards",
            found=str(len(target.cards) + count),
            expected=f"{MOST_CARDS} at most",
        )
    memory_mib = visible_mib(gpu)
    reserved = default_reserved_mib(memory_mib)
    first = 1 + max((card.index for card in target.cards), default=-1)
    taken = {card.id for card in rig.cards}
    free = (
        name for number in range(1, 2 * MOST_CARDS) if (name := f"{target.name}/new-{number}") not in taken
    )
    added = tuple(
        Card(next(free), target.name, first + offset, gpu, memory_mib, reserved) for offset in range(count)
    )
    return _changed(rig, target.name, lambda found: replace(found, cards=(*found.cards, *added)))


def without(rig: Rig, ids: Collection[str]) -> Rig:
    """The rig without these cards, and without the links to them. Raises BadInput for one that is not there."""
    gone = {_card(rig, each).id for each in ids}

    def less(host: Host) -> Host:
        left = [card for card in host.cards if card.id not in gone]
        here = {card.index for card in left}
        return replace(
            host,
            cards=tuple(
                replace(card, nvlink=tuple(peer for peer in card.nvlink if peer in here)) for card in left
            ),
        )

    return replace(rig, hosts=tuple(less(host) for host in rig.hosts))


def with_power_limit(rig: Rig, watts: int, ids: Collection[str] | None = None) -> Rig:
    """The rig with these cards, or all, held to so many watts.

    Raises BadInput outside what `power_range` says of one of them, and for a card that is not there.
    """
    held = {card.id for card in rig.cards} if ids is None else {_card(rig, each).id for each in ids}
    for card in rig.cards:
        if card.id in held:
            _within(card, watts)

    def limited(host: Host) -> Host:
        cards = (replace(card, power_limit_watts=watts) if card.id in held else card for card in host.cards)
        return replace(host, cards=tuple(cards))

    return replace(rig, hosts=tuple(limited(host) for host in rig.hosts))


def with_ram(rig: Rig, gib: float, host: str | None = None) -> Rig:
    """The rig with so much RAM in a host, which must be named where there are several.

    Raises BadInput for a host that is not there, and for one whose memory is soldered: unified memory.
    """
    if not 0 < gib <= MOST_RAM_GIB:
        raise BadInput("not an amount of RAM", found=f"{gib:g} GiB", expected=f"up to {MOST_RAM_GIB} GiB")
    target = _host(rig, host)
    if any(card.gpu.unified_memory for card in target.cards):
        raise BadInput("processor and GPU share its memory, which cannot be changed", found=target.name)
    return _changed(rig, target.name, lambda found: replace(found, ram_mib=int(1024 * gib)))


def _within(card: Card, watts: int) -> None:
    least, most = power_range(card)
    if watts < (least or 1) or (most is not None and watts > most):
        expected = f"{least or 1} to {most} W" if most is not None else f"{least or 1} W or more"
        raise BadInput(
            f"{card.id}, a {card.gpu.title}, takes no such power limit", found=f"{watts} W", expected=expected
        )


def _card(rig: Rig, name: str) -> Card:
    found = next((card for card in rig.cards if card.id == name), None)
    if found is None:
        raise BadInput(
            "no card of that name in the rig",
            found=name,
            expected=", ".join(card.id for card in rig.cards) or "a rig with cards",
        )
    return found


def _host(rig: Rig, name: str | None) -> Host:
    names = [host.name for host in rig.hosts]
    if name is None and len(names) == 1:
        return rig.hosts[0]
    if name is None:
        raise BadInput("which host is not said", expected=" or ".join(names))
    if name not in names:
        raise BadInput("no host of that name in the rig", found=name, expected=" or ".join(names))
    return rig.host(name)


def _changed(rig: Rig, name: str, change: Callable[[Host], Host]) -> Rig:
    return replace(rig, hosts=tuple(change(host) if host.name == name else host for host in rig.hosts))
