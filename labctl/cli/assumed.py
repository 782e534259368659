"""The options that ask about a rig as it would be: `--add`, `--without`, `--power-limit`, `--ram`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType

from labctl.edges import catalog
from labctl.edges.rigs import LONGEST_NUMBER, is_number
from labctl.errors import BadInput
from labctl.place.drivers import no_common_driver
from labctl.place.group import short_title
from labctl.place.what_if import with_added, with_power_limit, with_ram, without
from labctl.rig.rig import Card, Rig

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Assumed:
    """What is to be assumed, as it was written. Cards are taken out before others come in; limits hold for both."""

    add: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    power_limit: tuple[str, ...] = ()
    ram: tuple[str, ...] = ()


def assumed(rig: Rig, asked: Assumed, gone: Mapping[str, str] = NOTHING) -> tuple[Rig, tuple[str, ...]]:
    """The rig as it would be, named so, and each assumption in words. Raises BadInput with the option's name.

    gone: cards that were there when a plan was made, and their models: to leave them out is nothing to complain of.
    """
    said: list[str] = []
    for option, change, given in (
        ("--without", partial(_without, gone=gone), asked.without),
        ("--add", _added, asked.add),
        ("--power-limit", _limited, asked.power_limit),
        ("--ram", _with_ram, asked.ram),
    ):
        for words in given:
            try:
                rig, told = change(rig, words)
            except BadInput as error:
                error.where = option
                raise
            said.append(told)
    return (replace(rig, name=f"{rig.name} {', '.join(said)}") if said else rig), tuple(said)


def _added(rig: Rig, words: str) -> tuple[Rig, str]:
    name, *rest = words.split(":")
    count, host = 1, None
    if rest and is_number(rest[0]):
        count = int(rest.pop(0))
    if rest:
        host = rest.pop(0)
    if rest or host == "":
        raise BadInput("not a card to add", found=words, expected="GPU, GPU:N or GPU:N:HOST, as rtx-3090:2")
    gpu = catalog.gpu(name)
    where = f" to {host}" if host else ""
    changed = with_added(rig, gpu, count, host)
    for each in changed.hosts:
        if len(each.cards) > len(rig.host(each.name).cards) and (
            why := no_common_driver(card.gpu for card in each.cards)
        ):
            raise BadInput(
                why, found=f"{gpu.name} in {each.name}", hint="take the other out, or add one it goes with"
            )
    return changed, f"with {count} × {short_title(gpu)} added{where}"


def _without(rig: Rig, words: str, gone: Mapping[str, str] = NOTHING) -> tuple[Rig, str]:
    if words in gone:
        return rig, f"without {gone[words]} {words}"
    if any(card.id == words for card in rig.cards):
        taken = [card for card in rig.cards if card.id == words]
    else:
        name, colon, number = words.partition(":")
        if colon and not (is_number(number) and int(number) > 0):
            raise BadInput("not a number of cards", found=words, expected="GPU or GPU:N, as rtx-3090:1")
        alike = _of_model(rig, name)
        count = int(number) if colon else 1
        if not colon and len(alike) > 1:
            raise BadInput(
                f"{len(alike)} cards are of that model",
                found=name,
                expected=" or ".join(card.id for card in alike),
                hint=f"{name}:1 if any one will do",
            )
        if count > len(alike):
            raise BadInput("the rig has fewer of them", found=words, expected=f"{len(alike)} at most")
        taken = sorted(alike, key=_least_missed)[:count]
    titles = ", ".join(f"{short_title(card.gpu)} {card.id}" for card in taken)
    return without(rig, [card.id for card in taken]), f"without {titles}"


def _least_missed(card: Card) -> tuple[bool, int]:
    """Of equal cards those without a bridge go first, then the last."""
    return bool(card.nvlink), -card.index


def _limited(rig: Rig, words: str) -> tuple[Rig, str]:
    name, equals, number = words.rpartition("=")
    if not is_number(number) or (equals and not name):
        raise BadInput(
            "not a power limit", found=words, expected="WATTS or GPU=WATTS, as 250 or rtx-3090=250"
        )
    watts = int(number)
    if not name:
        return with_power_limit(rig, watts), f"with all cards held to {watts} W"
    if any(card.id == name for card in rig.cards):
        return with_power_limit(rig, watts, [name]), f"with {name} held to {watts} W"
    alike = _of_model(rig, name)
    said = f"with every {short_title(alike[0].gpu)} held to {watts} W"
    return with_power_limit(rig, watts, [card.id for card in alike]), said


def _with_ram(rig: Rig, words: str) -> tuple[Rig, str]:
    number, colon, host = words.partition(":")
    try:
        gib = float(number) if len(number) <= LONGEST_NUMBER else -1.0
    except ValueError:
        gib = -1.0
    if not gib > 0 or (colon and not host):
        raise BadInput("not an amount of RAM", found=words, expected="GIB or GIB:HOST, as 64")
    return with_ram(rig, gib, host or None), f"with {gib:g} GiB of RAM" + (f" in {host}" if host else "")


def _of_model(rig: Rig, name: str) -> list[Card]:
    """The rig's cards of a model, which need not be in the catalogue. Raises BadInput where there are none."""
    found = [card for card in rig.cards if name in (card.gpu.name, card.gpu.title)]
    if not found:
        try:
            wanted = catalog.gpu(name)
        except BadInput:
            wanted = None
        found = [card for card in rig.cards if wanted is not None and card.gpu.name == wanted.name]
    if not found:
        known = sorted({card.gpu.name for card in rig.cards} | {card.id for card in rig.cards})
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else None
        if name.startswith("GPU-"):
            hint = "a card that is not there is left out by itself; one of the plan that runs: --keep PLAN"
        raise BadInput(
            "no such card in the rig", found=name, expected=", ".join(known) or "a rig with cards", hint=hint
        )
    return found
