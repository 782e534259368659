"""The hardware of a rig in short, and its fingerprint: what a plan is bound to."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256

from labctl.plan.plan import PlannedCard, PlannedHost, PlannedRig
from labctl.rig.rig import Card, Host, Rig

_MIB_PER_GIB = 1024


def hardware_of(rig: Rig) -> PlannedRig:
    """Hosts by name, cards in PCI order; the rig's own name is no part of the fingerprint."""
    hosts = tuple(sorted((hardware_of_host(host) for host in rig.hosts), key=lambda host: host.name))
    bound = all(card.id != unbound_id(card) for card in rig.cards)
    return PlannedRig(rig.name, fingerprint(hosts), bound, hosts)


def hardware_of_host(host: Host) -> PlannedHost:
    """One machine of it."""
    cards = sorted(host.cards, key=lambda card: card.index)
    ram_gib = None if host.ram_mib is None else round(host.ram_mib / _MIB_PER_GIB)
    return PlannedHost(
        host.name, tuple(PlannedCard(card.id, card.gpu.name, _memory_mib(card)) for card in cards), ram_gib
    )


def fingerprint(hosts: Iterable[PlannedHost]) -> str:
    """The same for the same hosts, cards, sizes and order of slots, whatever they are used for."""
    text = json.dumps([asdict(host) for host in hosts], sort_keys=True, separators=(",", ":"))
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def unbound_id(card: Card) -> str:
    """What a card is called that has no UUID."""
    return f"{card.host}/{card.index}"


def _memory_mib(card: Card) -> int | None:
    """Unified memory is the host's, which the kernel takes its share of first: a few MiB more or less say nothing."""
    if card.memory_mib is None or not card.gpu.unified_memory:
        return card.memory_mib
    return round(card.memory_mib / _MIB_PER_GIB) * _MIB_PER_GIB
