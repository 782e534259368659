"""What `labctl fit --explain` adds: every term with its formula and its source. Pure."""

import textwrap
from collections.abc import Iterator

from labctl.estimate.claim import MIB, Term
from labctl.place.report import Report

_WIDTH = 80


def explanation(report: Report) -> str:
    """Place by place; terms of nothing are left out."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    for index, place in enumerate((*report.estimate.cards, report.estimate.host)):
        terms = [term for term in place.terms if term.low or term.expected or term.high]
        if not terms:
            continue
        yield _place(report, index, place.name)
        for term in terms:
            yield f"  {term.name}: {_amount(term)}"
            yield from _indented(term.formula)
            yield from _indented(f"source: {term.source}")
        yield f"  together: {place.expected / MIB:,.1f} MiB, {place.low / MIB:,.1f} to {place.high / MIB:,.1f}"
    if report.speed:
        yield "Speed of one request"
        for name, found in (("decode", report.speed.decode), ("prompt", report.speed.prefill)):
            if found:
                yield f"  {name}: {found.expected:.0f} tokens/s, {found.low:.0f} to {found.high:.0f}"
        for source in report.speed.sources:
            yield from _indented(f"source: {source}")


def _place(report: Report, index: int, name: str) -> str:
    if name == "host":
        return "Host RAM"
    group = report.group
    if group is None or index >= len(group.cards):
        return f"Card {name}"
    return f"{group.cards[index].id}, {group.cards[index].gpu.title}"


def _amount(term: Term) -> str:
    expected = f"{term.expected / MIB:,.1f} MiB"
    if term.low == term.high:
        return f"{expected}, exactly"
    if term.low > term.high:
        return f"{expected}, and less uncertain"
    return f"{expected}, {term.low / MIB:,.1f} to {term.high / MIB:,.1f}"


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="    ",
        subsequent_indent="      ",
        break_long_words=False,
        break_on_hyphens=False,
    )
