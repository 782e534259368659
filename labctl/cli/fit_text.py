"""What a person reads from `labctl fit MODEL`. Pure: a report in, text out, within 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from labctl.estimate.claim import MIB, Part, PlaceEstimate, mib
from labctl.estimate.parts import card_parts
from labctl.estimate.range import Range
from labctl.place.fit import needs_mib
from labctl.place.group import Group, short_title
from labctl.rig.rig import NAMELESS

if TYPE_CHECKING:
    from labctl.place.cards import Enough
    from labctl.place.report import Report

COLUMNS = 80
_LABEL, _NARROW = 22, 8
_MOST_NAMED = 3
_GIB_FROM_MIB = 10 * 1024
_MOST_COLUMNS = 4
_PARTS: tuple[tuple[Part, str], ...] = (
    ("weights", "weights"),
    ("kv_cache", "KV cache"),
    ("compute", "compute buffers"),
    ("scratch", "pools and copies"),
    ("context_overhead", "CUDA context"),
)


def report_text(report: "Report", where: str, notes: tuple[str, ...]) -> str:
    """Verdict first, then what it takes, then what fits where, then what to do."""
    lines = [
        *_headline(report, where),
        "",
        *_verdict(report),
        "",
        *_memory(report),
        *_table(report),
        *_changes(report),
        *_to_buy(report),
        *_notes((*report.estimate.notes, *notes)),
    ]
    return "\n".join(line.rstrip().replace("\xa0", " ") for line in lines).rstrip("\n") + "\n"


def _notes(notes: Iterable[str]) -> Iterator[str]:
    """Where a file's size was published is for --json and --explain; the rest a person should see."""
    for note in notes:
        if not note.startswith("size of "):
            yield from wrapped(f"! {note}")


def size(mebibytes: int) -> str:
    """Large sizes in GiB, small ones in MiB."""
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= _GIB_FROM_MIB else f"{mebibytes} MiB"


def tokens(count: int) -> str:
    """32768 as 32k; what is over a thousand is cut off."""
    return f"{count // 1024}k" if count >= 1024 else str(count)


def billions(parameters: int) -> str:
    """As models are named: 8.0B, 0.6B, 137M."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 95_000_000 else f"{parameters / 1e6:.0f}M"


def rate(per_second: float) -> str:
    """Slow ones with a decimal: 3.2, 108."""
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"


def per_second(decode: Range) -> str:
    """One request's tokens a second."""
    return f"{rate(decode.expected)} tokens/s ({rate(decode.low)}–{rate(decode.high)})"


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """Lines of 80 columns; names and options stay whole."""
    return textwrap.wrap(
        text, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _headline(report: "Report", where: str) -> list[str]:
    request = report.estimate.request
    words = [report.candidate.name, billions(report.candidate.parameters), report.candidate.engine]
    if report.candidate.engine == "training":
        words.append(f"{request.parallel} × {tokens(request.context)} tokens per step")
    elif report.candidate.context_train:
        words.append(f"context {tokens(request.context)} × {request.parallel}")
        words.append(f"KV {request.kv_type_k}")
    head, origin = " · ".join(words), f"({where})"
    one_line = f"{head}   {origin}"
    return [one_line] if len(one_line) <= COLUMNS else [*wrapped(head), f"  {origin}"]


def _verdict(report: "Report") -> Iterator[str]:
    speed = f", {per_second(report.speed.decode)}" if report.speed else ""
    if report.answer is None:
        yield f"{report.quant} takes {_span(report)}{' on each card' if len(report.estimate.cards) > 1 else ''}."
        return
    group = report.group
    on = _named(group) if group else "these cards"
    if not report.answer or group is None:
        yield from wrapped(f"No: {report.quant} does not fit {on}: {report.reason}.", "    ")
        return
    yield from wrapped(f"Yes: {report.quant} fits {on}{speed}.", "     ")
    pairs = zip(needs_mib(report.estimate, group), group.usable_mib, strict=False)
    needs, usable = min(pairs, key=lambda each: each[1] - each[0])
    fullest = " on the fullest card" if len(group.cards) > 1 else ""
    yield f"     {size(needs)} of {size(usable)} usable{fullest}."


def _named(group: Group) -> str:
    count = "one " if len(group.cards) == 1 else ""
    return f"{count}{group.title}" + ("" if group.host.name == NAMELESS else f" of {group.host.name}")


def _span(report: "Report") -> str:
    card = max(report.estimate.cards, key=lambda each: each.high)
    expected = sum(card.of(part) // MIB for part, _ in _PARTS)  # as the table below adds up
    return f"{size(expected)} ({size(card.low // MIB)} to {size(mib(card.high))})"


def _memory(report: "Report") -> Iterator[str]:
    """One column per card; so many that 80 columns do not hold them stand in blocks below each other."""
    names, cards = _card_names(report), report.estimate.cards
    if len(cards) > _MOST_NAMED:
        yield from wrapped(_legend(names))
        yield ""
        names = [f"card {index}" for index in range(len(cards))]
    width = 16 if len(cards) <= _MOST_NAMED else _NARROW
    in_block = (COLUMNS - _LABEL) // width
    for first in range(0, len(cards), in_block):
        block = slice(first, first + in_block)
        yield from _block(names[block], cards[block], width)
    host = report.estimate.host
    if mib(host.high):
        yield f"  {'in RAM':{_LABEL - 2}}{_host(host, width)}"
        if report.group is not None and report.group.unified:
            yield "  (one memory: what is in RAM is taken from the card)"
    yield ""


def _legend(names: list[str]) -> str:
    """`card 0–3: RTX 3090, card 4: RTX 3060 12G`."""
    kinds, first = [], 0
    for name, alike in groupby(names):
        last = first + len(list(alike)) - 1
        kinds.append(f"card {first}{f'–{last}' if last > first else ''}: {name}")
        first = last + 1
    return ", ".join(kinds)


def _block(names: list[str], cards: tuple[PlaceEstimate, ...], width: int) -> Iterator[str]:
    yield f"{'MiB':{_LABEL}}" + "".join(f"{name:>{width}}" for name in names)
    parts = [card_parts(card) for card in cards]
    for part, title in _PARTS:
        if part != "kv_cache" or any(each[part] for each in parts):
            yield f"  {title:{_LABEL - 2}}" + "".join(f"{each[part]:{width},}" for each in parts)
    totals = (sum(each.values()) for each in parts)
    yield f"  {'expected':{_LABEL - 2}}" + "".join(f"{total:{width},}" for total in totals)
    yield f"  {'at most':{_LABEL - 2}}" + "".join(f"{mib(card.high):{width},}" for card in cards)


def _host(host: PlaceEstimate, width: int) -> str:
    cache = sum(term.high for term in host.terms if term.part == "prompt_cache")
    rest = f"{mib(host.high - cache):{width},}"
    return f"{rest}   and up to {size(mib(cache))} of prompt cache" if cache else rest


def _card_names(report: "Report") -> list[str]:
    if report.group is None:
        count = len(report.estimate.cards)
        return ["card"] if count == 1 else [f"card {index}" for index in range(count)]
    return [short_title(card.gpu)[:15] for card in report.group.cards]


def _columns(report: "Report") -> list[Group]:
    """The groups worth a column: the one that was chosen, one and all of its kind, and everything together."""
    found: list[Group] = []
    for fit in report.fits:
        if fit.group not in found:
            found.append(fit.group)
    if len(found) <= _MOST_COLUMNS:
        return found
    roomiest = max(found, key=lambda group: (len(group.cards) == 1, *group.usable_mib))
    chosen = report.group or roomiest
    kind = [each for each in found if each.alike and each.cards[0].gpu.name == chosen.cards[0].gpu.name]
    wanted = (chosen, max(found, key=lambda group: len(group.cards)), kind[0], kind[-1], roomiest, *found)
    kept: list[Group] = []
    for each in wanted:
        if each not in kept and len(kept) < _MOST_COLUMNS:
            kept.append(each)
    return sorted(kept, key=found.index)


def _table(report: "Report") -> Iterator[str]:
    columns = _columns(report)
    if not columns:
        return
    whose = "on common cards, one at a time" if report.imagined else "on your cards"
    what = "largest context, tokens/s as asked" if report.candidate.context_train else "GiB it takes"
    if report.candidate.engine == "training":
        what = "longest sequence"
    yield f"What fits {whose} ({what}):"
    yield f"  {'':9}" + "".join(f"{_column_title(group):>17}" for group in columns)
    for quant in report.candidate.quants:
        cells = [_cell(report, quant, group) for group in columns]
        mark = "›" if quant == report.quant else " "
        yield f"{mark} {quant.removesuffix('-safetensors')[:9]:9}" + "".join(f"{cell:>17}" for cell in cells)
    yield ""


def _column_title(group: Group) -> str:
    title = group.title
    return title if len(title) <= 16 else f"{len(group.cards)} cards" if len(group.cards) > 1 else title[:16]


def _cell(report: "Report", quant: str, group: Group) -> str:
    found = next((each for each in report.fits if each.quant == quant and each.group is group), None)
    if found is None:
        return ""
    if found.estimate is None:
        return "cannot"
    if not report.candidate.context_train:
        taken = f"{max(found.needs_mib) / 1024:.1f}"
        return taken if found.fits else f"no, {taken}"
    if found.context is None:
        return f"{found.short_mib / 1024:.1f} GiB short" if found.short_mib else "RAM is short"
    speed = f"{rate(found.speed.decode.expected)}/s" if found.speed else ""
    return f"{tokens(found.context)} {speed:>6}" if speed else tokens(found.context)


def _changes(report: "Report") -> Iterator[str]:
    if not report.suggestions:
        return
    yield "What would make it fit (each was tried):"
    for each in report.suggestions:
        said = [each.note] if each.note else []
        if each.saves_mib and each.saves_mib > 0:
            said.append(f"{size(each.saves_mib)} less")
        if each.fit.estimate and each.note:
            said.append(f"{size(mib(each.fit.estimate.host.high))} of RAM")
        if each.fit.speed:
            said.append(per_second(each.fit.speed.decode))
        yield from wrapped(f"  {each.change}: {', '.join(said)}" if said else f"  {each.change}", "      ")
    yield ""


def _to_buy(report: "Report") -> Iterator[str]:
    if report.answer or report.imagined:
        return
    if not report.enough:
        yield from wrapped(
            f"No card in the catalogue, alone or in pairs or fours, holds {report.quant} as asked."
        )
    else:
        yield from wrapped(f"Cards that hold {report.quant} as asked: {_list(report.enough)}.")
    yield ""


def _list(cards: "Iterable[Enough]") -> str:
    """A count stays with its card where lines break."""
    return ", ".join(
        (f"{each.count}\xa0×\xa0" if each.count > 1 else "") + short_title(each.gpu) for each in cards
    )
