"""What differs between the hardware of a plan and another's, or a machine's as it is now."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from labctl.plan.plan import PlannedHost

Kind = Literal["host_gone", "host_new", "card_gone", "card_new", "model", "memory", "order", "ram"]


@dataclass(frozen=True)
class HardwareChange:
    """One thing. card: None for a host's. before, after: a model, MiB (`memory`), GiB (`ram`) or ids (`order`)."""

    kind: Kind
    host: str
    card: str | None = None
    before: object = None
    after: object = None


def hardware_changes(
    before: tuple[PlannedHost, ...], after: tuple[PlannedHost, ...]
) -> tuple[HardwareChange, ...]:
    """Everything whose fingerprint differs; empty exactly when fingerprints are equal."""
    old, new = {host.name: host for host in before}, {host.name: host for host in after}
    return tuple(
        change for name in sorted({*old, *new}) for change in _host(name, old.get(name), new.get(name))
    )


def _host(name: str, old: PlannedHost | None, new: PlannedHost | None) -> Iterator[HardwareChange]:
    if old is None or new is None:
        if new is not None:
            yield HardwareChange("host_new", name, None, None, _models(new))
        if old is not None:
            yield HardwareChange("host_gone", name, None, _models(old), None)
        return
    yield from _cards(name, old, new)
    if old.ram_gib != new.ram_gib:
        yield HardwareChange("ram", name, None, old.ram_gib, new.ram_gib)


def _cards(name: str, old: PlannedHost, new: PlannedHost) -> Iterator[HardwareChange]:
    then, now = {card.id: card for card in old.cards}, {card.id: card for card in new.cards}
    for card in old.cards:
        other = now.get(card.id)
        if other is None:
            yield HardwareChange("card_gone", name, card.id, card.model, None)
        elif card.model != other.model:
            yield HardwareChange("model", name, card.id, card.model, other.model)
        elif card.memory_mib != other.memory_mib:
            yield HardwareChange("memory", name, card.id, card.memory_mib, other.memory_mib)
    for card in new.cards:
        if card.id not in then:
            yield HardwareChange("card_new", name, card.id, None, card.model)
    stayed = [card.id for card in old.cards if card.id in now]
    stands = [card.id for card in new.cards if card.id in then]
    if stayed != stands:
        yield HardwareChange("order", name, None, stayed, stands)


def _models(host: PlannedHost) -> str:
    return ", ".join(card.model for card in host.cards)
