"""How cards and changes of plans are called, for people. Pure, within 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl.plan.diff import Setting, WorkloadChange

WIDTH = 80
UUID_PREFIX = "GPU-"
_CLAIM = "claim."
_FOLLOW = ("rank", "tokens_per_second", "ram_mib", "disk_mib")
# Host and index in PCI order, by card.
Places = Mapping[str, tuple[str, int]]
_LONGEST = 40
_WORDS = {"kv_type": "KV", "tokens_per_second": "tokens/s", "ram_mib": "RAM", "disk_mib": "disk"}


class Cards:
    """Calls cards by host and place in PCI order; by their id where that means different ones."""

    def __init__(self, *known: Places) -> None:
        self._names: dict[str, str] = {}
        meant: dict[str, set[str]] = {}
        for places in known:
            for card, (host, index) in places.items():
                self._names[card] = f"{host}/{index}"
                meant.setdefault(f"{host}/{index}", set()).add(card)
        unclear = sorted(card for cards in meant.values() if len(cards) > 1 for card in cards)
        for card in unclear:
            self._names[card] = _shortest(card, unclear)

    def name(self, card: str) -> str:
        """One card."""
        return self._names.get(card, card)

    def names(self, cards: Iterable[str], host: str | None) -> str:
        """Several; the host for none."""
        return " + ".join(map(self.name, cards)) or f"{host}"

    def told(self, sentence: str) -> str:
        """A sentence with every id in it replaced by the card's name."""
        for card in sorted(self._names, key=len, reverse=True):
            if card.startswith(UUID_PREFIX):
                sentence = sentence.replace(card, self.name(card))
        return sentence


def _shortest(card: str, others: Iterable[str]) -> str:
    """A UUID's beginning as NVIDIA's tools take it, where it tells the card from the others."""
    short = card[: len(UUID_PREFIX) + 8]
    return card if any(each != card and each.startswith(short) for each in others) else short


def change_line(change: WorkloadChange, cards: Cards) -> str:
    """What becomes of one workload."""
    before = cards.names(change.cards_before, change.host_before)
    after = cards.names(change.cards_after, change.host_after)
    name = change.workload
    match change.kind:
        case "added":
            return f"{name} starts on {after}"
        case "removed":
            return f"{name} stops on {before}" if change.host_before else f"{name} is not asked for"
        case "unplaced":
            return (
                f"{name} stops on {before} and has no place" if change.host_before else f"{name} has no place"
            )
        case "moved":
            moved = f"{name} moves from {before} to {after}"
            return f"{moved}, {settings(change.settings, cards)}" if change.settings else moved
        case "changed":
            return f"{name} on {after}: {settings(change.settings, cards)}"


def settings(changed: Iterable[Setting], cards: Cards) -> str:
    """Each with what it was and what it is; what follows from others comes last."""
    in_order = sorted(
        changed, key=lambda each: (each.key in _FOLLOW or each.key.startswith(_CLAIM), each.key)
    )
    return ", ".join(_setting(each, cards) for each in in_order)


def _setting(setting: Setting, cards: Cards) -> str:
    key = setting.key
    word = _WORDS.get(key, key)
    if key.startswith(_CLAIM):
        word = f"claim on {cards.name(key.removeprefix(_CLAIM))}"
    return f"{word} {_value(key, setting.before)} → {_value(key, setting.after)}"


def _value(key: str, value: object) -> str:
    from labctl.cli.fit_text import size, tokens  # brings all of `labctl fit`

    if value is None:
        return "not set"
    if isinstance(value, int) and key == "context":
        return tokens(value)
    if isinstance(value, int) and (key.endswith("_mib") or key.startswith(_CLAIM)):
        return size(value)
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def wrapped(text: str, indent: str = "", later: str | None = None, width: int = WIDTH) -> Iterator[str]:
    """Lines of a sentence; words stay whole."""
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "    " if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def change_document(change: WorkloadChange) -> Mapping[str, object]:
    """One change for tools. Every key is always there."""
    return {
        "workload": change.workload,
        "change": change.kind,
        "before": _place(change.host_before, change.cards_before),
        "after": _place(change.host_after, change.cards_after),
        "settings": {each.key: {"before": each.before, "after": each.after} for each in change.settings},
    }


def _place(host: str | None, cards: tuple[str, ...]) -> dict[str, object] | None:
    return None if host is None else {"host": host, "gpus": list(cards)}
