"""What a person reads from `labctl fit MODEL`. Pure: a report in, text out, within 80 columns."""

import textwrap
from collections.abc import Iterable, Iterator

from labctl.estimate.claim import MIB, Part, PlaceEstimate, mib
from labctl.estimate.range import Range
from labctl.place.cards import Enough
from labctl.place.fit import Fit
from labctl.place.group import Group, short_title
from labctl.place.report import Report
from labctl.rig.rig import NAMELESS

_GIB_FROM_MIB = 10 * 1024
_MOST_COLUMNS = 4
_PARTS: tuple[tuple[Part, str], ...] = (
    ("weights", "weights"),
    ("kv_cache", "KV cache"),
    ("compute", "compute buffers"),
    ("scratch", "pools and copies"),
    ("context_overhead", "CUDA context"),
)


def report_text(report: Report, where: str, notes: tuple[str, ...]) -> str:
    """Verdict first, then what it takes, then what fits where, then what to do."""
    lines = [
        _headline(report, where),
        "",
        *_verdict(report),
        "",
        *_memory(report),
        *_table(report),
        *_changes(report),
        *_to_buy(report),
        *_notes((*report.estimate.notes, *notes)),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _notes(notes: Iterable[str]) -> Iterator[str]:
    """Where a file's size was published is for --json and --explain; the rest a person should see."""
    for note in notes:
        if not note.startswith("size of "):
            yield from textwrap.wrap(
                f"! {note}", 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )


def size(mebibytes: int) -> str:
    """Large sizes in GiB, small ones in MiB."""
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= _GIB_FROM_MIB else f"{mebibytes} MiB"


def tokens(count: int) -> str:
    """32768 as 32k; what is over a thousand is cut off."""
    return f"{count // 1024}k" if count >= 1024 else str(count)


def billions(parameters: int) -> str:
    """As models are named: 8.0B, 0.6B, 137M."""
    return f"{parameters / 1e9:.1f}B" if parameters >= 95_000_000 else f"{parameters / 1e6:.0f}M"


def per_second(decode: Range) -> str:
    """One request's tokens a second."""
    return f"{decode.expected:.0f} tokens/s ({decode.low:.0f}–{decode.high:.0f})"


def _headline(report: Report, where: str) -> str:
    request = report.estimate.request
    words = [report.candidate.name, billions(report.candidate.parameters), report.candidate.engine]
    if report.candidate.engine == "training":
        words.append(f"{request.parallel} × {tokens(request.context)} tokens per step")
    elif report.candidate.context_train:
        words.append(f"context {tokens(request.context)} × {request.parallel}")
        words.append(f"KV {request.kv_type_k}")
    return " · ".join(words) + f"   ({where})"


def _verdict(report: Report) -> Iterator[str]:
    speed = f", {per_second(report.speed.decode)}" if report.speed else ""
    high = max((mib(card.high) for card in report.estimate.cards), default=0)
    if report.answer is None:
        yield f"{report.quant} takes {_span(report)}{' on each card' if len(report.estimate.cards) > 1 else ''}."
        return
    group = report.group
    on = _named(group) if group else "these cards"
    if report.answer:
        usable = min(group.usable_mib) if group else 0
        yield f"Yes: {report.quant} fits {on}{speed}."
        yield f"     {size(high)} of {size(usable)} usable on the fullest card."
    else:
        yield f"No: {report.quant} does not fit {on}: {report.reason}."


def _named(group: Group) -> str:
    count = "one " if len(group.cards) == 1 else ""
    return f"{count}{group.title}" + ("" if group.host.name == NAMELESS else f" of {group.host.name}")


def _span(report: Report) -> str:
    card = max(report.estimate.cards, key=lambda each: each.high)
    return f"{size(mib(card.expected))} ({size(card.low // MIB)} to {size(mib(card.high))})"


def _memory(report: Report) -> Iterator[str]:
    cards = report.estimate.cards
    names = _card_names(report)
    yield f"{'MiB':22}" + "".join(f"{name:>16}" for name in names)
    for part, title in _PARTS:
        yield f"  {title:20}" + "".join(f"{card.of(part) // MIB:16,}" for card in cards)
    yield f"  {'expected':20}" + "".join(
        f"{sum(card.of(part) // MIB for part, _ in _PARTS):16,}" for card in cards
    )
    yield f"  {'at most':20}" + "".join(f"{mib(card.high):16,}" for card in cards)
    host = report.estimate.host
    if mib(host.high):
        yield f"  {'in RAM':20}{_host(host)}"
    yield ""


def _host(host: PlaceEstimate) -> str:
    cache = sum(term.high for term in host.terms if term.part == "prompt_cache")
    rest = f"{mib(host.high - cache):16,}"
    return f"{rest}   and up to {size(mib(cache))} of prompt cache" if cache else rest


def _card_names(report: Report) -> list[str]:
    if report.group is None:
        count = len(report.estimate.cards)
        return ["card"] if count == 1 else [f"card {index}" for index in range(count)]
    return [short_title(card.gpu)[:15] for card in report.group.cards]


def _columns(report: Report) -> list[Group]:
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


def _table(report: Report) -> Iterator[str]:
    columns = _columns(report)
    if not columns:
        return
    whose = "on common cards, one at a time" if report.imagined else "on your cards"
    what = "largest context and tokens/s" if report.candidate.context_train else "GiB it takes"
    yield f"{f'What fits {whose}':<1} ({what}):"
    yield f"  {'':9}" + "".join(f"{group.title[:16]:>17}" for group in columns)
    for quant in report.candidate.quants:
        cells = [_cell(report, quant, group) for group in columns]
        mark = "›" if quant == report.quant else " "
        yield f"{mark} {quant[:9]:9}" + "".join(f"{cell:>17}" for cell in cells)
    yield ""


def _cell(report: Report, quant: str, group: Group) -> str:
    found = next((each for each in report.fits if each.quant == quant and each.group is group), None)
    if found is None:
        return ""
    if found.estimate is None:
        return "cannot"
    if not report.candidate.context_train:
        taken = f"{max(found.needs_mib) / 1024:.1f}"
        return taken if found.fits else f"no, {taken}"
    if found.context is None or (found.short_mib and found.context < 2048):
        return f"{found.short_mib / 1024:.1f} GiB short"
    speed = f"{found.speed.decode.expected:.0f}/s" if found.speed else ""
    return f"{tokens(found.context)} {speed:>6}"


def _changes(report: Report) -> Iterator[str]:
    if not report.suggestions:
        return
    yield "What would make it fit (each was tried):"
    for each in report.suggestions:
        saved = f", {size(each.saves_mib)} less" if each.saves_mib and each.saves_mib > 0 else ""
        yield f"  {each.change}{saved}{_at(each.fit)}"
    yield ""


def _at(found: Fit) -> str:
    return f", {per_second(found.speed.decode)}" if found.speed else ""


def _to_buy(report: Report) -> Iterator[str]:
    if report.answer or report.imagined:
        return
    if not report.enough:
        yield f"No card in the catalogue, alone or in pairs or fours, holds {report.quant} as asked."
        yield ""
        return
    yield from textwrap.wrap(
        f"Cards that hold {report.quant} as asked: {_list(report.enough)}.", 80, subsequent_indent="  "
    )
    yield ""


def _list(cards: Iterable[Enough]) -> str:
    return ", ".join((f"{each.count} × " if each.count > 1 else "") + short_title(each.gpu) for each in cards)
