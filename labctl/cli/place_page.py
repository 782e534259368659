"""The answer of `labctl place` as one page for a browser: nothing is loaded from anywhere, no script runs. Pure.

The picture is boxes whose widths are their shares; the template holds all of the page's looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl import __version__
from labctl.cli.place_bars import lengths, patterns
from labctl.cli.place_picture import Block, CardPicture, HostPicture, OtherTime, cards_named, gib, pictures
from labctl.cli.place_reasons import RefusalRow, refusal_rows
from labctl.cli.place_rows import far_sentences, faster_sentences, proof, rows, verdict
from labctl.cli.place_suggestions import TRIED, suggestion_sentences
from labctl.cli.place_text import card_title, host_facts, power_line
from labctl.edges.templates import render_html
from labctl.place.faster import Faster
from labctl.place.placement import Placement
from labctl.place.power import Power
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import Suggestion

# Looks that the template has for workloads.
_PATTERNS = 7
# Of a bar's length: as fine as anybody can see.
_WHOLE = 10_000


@dataclass(frozen=True)
class Box:
    """A block as the page draws it. look: a class of the template. start, width: in percent of the bar."""

    look: str
    name: str
    figure: str
    width: str


@dataclass(frozen=True)
class Strip:
    """A line of boxes. start, length: in percent of the page's width. said: the same for who cannot see it."""

    boxes: tuple[Box, ...]
    start: str
    length: str
    said: str


@dataclass(frozen=True)
class CardView:
    """One card: its line, what is there, and what is there at other times, each with its caption."""

    name: str
    title: str
    free: str
    strip: Strip | None
    other_times: tuple[tuple[Strip, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class HostView:
    """One machine. limit: where on `power` the supply ends, in percent; None where it carries all."""

    name: str
    line: str
    cards: tuple[CardView, ...]
    power_line: str
    power: Strip | None
    limit: str | None
    psu_watts: int | None
    warning: str | None


@dataclass(frozen=True)
class RefusedView:
    """A workload without a place. helps: what is said of the suggestions."""

    name: str
    rows: tuple[RefusalRow, ...]
    helps: str
    suggestions: tuple[str, ...]


def place_page(
    placement: Placement,
    changes: Sequence[str] = (),
    found: Mapping[str, Sequence[Suggestion]] | None = None,
    slow: Sequence[Faster] = (),
) -> str:
    """The whole page.

    changes: what is said of those against a plan, and each of them. found: what would give those without a place one.
    slow: what would run faster otherwise.
    """
    hosts = pictures(placement)
    page = _Page(hosts)
    word, _, sentence = verdict(placement).partition(": ")
    return render_html(
        __file__,
        "place.html",
        title=f"{placement.question.where} on {placement.question.rig.name}",
        yes=not placement.refused,
        word=word,
        sentence=sentence[0].upper() + sentence[1:],
        proof=proof(placement),
        hosts=[page.host(host) for host in hosts],
        key=page.key(),
        rows=rows(placement),
        warnings=[*far_sentences(placement), *faster_sentences(placement, slow)],
        look=page.look,
        gib=gib,
        changes=changes,
        refused=[_refused(placement, each, found or {}) for each in placement.refused],
        tried=TRIED if any(not each for each in (found or {}).values()) else None,
        version=__version__,
    )


def _refused(
    placement: Placement, refused: Refused, found: Mapping[str, Sequence[Suggestion]]
) -> RefusedView:
    head, *suggestions = suggestion_sentences(found.get(refused.workload)) or [""]
    return RefusedView(refused.workload, refusal_rows(placement, refused), head, tuple(suggestions))


class _Page:
    """What all of a page's pictures have in common: looks and scale."""

    def __init__(self, hosts: Sequence[HostPicture]) -> None:
        self._cards = [card for host in hosts for card in host.cards]
        self._patterns = patterns(hosts, _PATTERNS)
        found = lengths(self._cards, _WHOLE, _WHOLE // 3)
        self._lengths = {id(card): length for card, length in zip(self._cards, found, strict=True)}

    def look(self, name: str) -> str | None:
        """The class of a workload's boxes; None for one without a card."""
        return f"p{self._patterns[name]}" if name in self._patterns else None

    def key(self) -> list[tuple[str, str]]:
        """Look and meaning of what is no workload, where there is any of it."""
        meant = {
            "free": "free",
            "margin": "margin, kept empty",
            "others": "other processes",
            "kept": "kept for a job",
        }
        kinds = {block.kind for card in self._cards for block in card.blocks}
        return [(kind, said) for kind, said in meant.items() if kind in kinds]

    def host(self, host: HostPicture) -> HostView:
        power, limit = _power(host.power)
        return HostView(
            host.host.name,
            " · ".join(host_facts(host)),
            tuple(self._card(card) for card in host.cards),
            power_line(host),
            power,
            limit,
            host.power.psu_watts,
            host.power.warning,
        )

    def _card(self, card: CardPicture) -> CardView:
        length = self._lengths[id(card)]
        each = " each" if len(card.cards) > 1 else ""
        strip = None
        if card.size_mib:
            strip = self._strip(card.blocks, card.size_mib, 0, length)
        return CardView(
            cards_named(card.cards),
            card_title(card),
            f"{gib(card.free_mib)} of {gib(card.size_mib)} GiB free{each}" if strip else "memory unknown",
            strip,
            tuple(self._other_time(card, time, length) for time in card.other_times),
            card.notes,
        )

    def _other_time(self, card: CardPicture, time: OtherTime, length: int) -> tuple[Strip, str]:
        taken = sum(block.mib for block in time.blocks)
        start = length * time.offset_mib / card.size_mib
        strip = self._strip(time.blocks, taken, start, length * taken / card.size_mib)
        return strip, f"{time.when or 'while it runs'}: {time.job} {gib(time.job_mib)} GiB{time.instead}"

    def _strip(self, blocks: Sequence[Block], size_mib: int, start: float, length: float) -> Strip:
        boxes = tuple(
            Box(
                self.look(block.name) or "p0" if block.kind == "workload" else block.kind,
                block.name,
                _figure(block),
                _percent(block.mib, size_mib),
            )
            for block in blocks
        )
        return Strip(boxes, _percent(start, _WHOLE), _percent(length, _WHOLE), _said(boxes))


def _figure(block: Block) -> str:
    share = "" if block.of_mib is None else f" of {gib(block.of_mib)}"
    return f"{gib(block.mib)}{share} GiB"


def _said(boxes: Sequence[Box]) -> str:
    return ", ".join(f"{box.name} {box.figure}" for box in boxes)


def _power(found: Power) -> tuple[Strip | None, str | None]:
    """To the scale of what the power supply gives, or of the spikes where they are over it."""
    if found.psu_watts is None:
        return None, None
    drawn = found.gpu_watts + found.system_watts
    whole = max(found.psu_watts, found.peak_watts, 1)
    parts = (
        ("cards", "cards", found.gpu_watts),
        ("rest", "the rest", found.system_watts),
        ("spikes", "spikes", found.peak_watts - drawn),
        ("free", "left", whole - found.peak_watts),
    )
    boxes = tuple(
        Box(look, name, f"{watts} W", _percent(watts, whole)) for look, name, watts in parts if watts > 0
    )
    limit = _percent(found.psu_watts, whole) if found.psu_watts < whole else None
    return Strip(boxes, "0", "100", _said(boxes)), limit


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3f}".rstrip("0").rstrip(".")
