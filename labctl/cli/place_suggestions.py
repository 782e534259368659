"""What would give a workload a place, as text and for JSON. Pure."""

import textwrap
from collections.abc import Iterator, Sequence

from labctl.cli.fit_text import size
from labctl.place.suggestion import BOUGHT, Suggestion, Worse

_WIDTH = 80
# As many as are read; one of them may cost money.
_MOST_SHOWN = 4


def suggestion_lines(found: Sequence[Suggestion] | None, width: int = _WIDTH) -> Iterator[str]:
    """At most four, that which takes least away first. None: nobody looked."""
    head, *each = suggestion_sentences(found) or [""]
    if head:
        yield from _wrapped(head, "  ", width=width)
    for sentence in each:
        yield from _wrapped(f"- {sentence}", "  ", "    ", width)


def suggestion_sentences(found: Sequence[Suggestion] | None) -> list[str]:
    """What is said of them, and then each that is shown; nothing where nobody looked."""
    if found is None:
        return []
    if not found:
        nothing = (
            "Nothing that was tried gives it a place: neither a smaller format, context or model, nor a change of "
            "what is in its way, nor more hardware from the catalogue."
        )
        return [nothing]
    head = "What would give it a place:" if len(found) > 1 else "This would give it a place:"
    return [head, *map(_capital, shown(found))]


def shown(found: Sequence[Suggestion]) -> list[Suggestion]:
    """The first four; the fourth gives way to the first that costs money, where none of them does."""
    first = list(found[:_MOST_SHOWN])
    costly = next((each for each in found if BOUGHT & set(each.kinds)), None)
    if costly is not None and costly not in first:
        first[-1] = costly
    return first


def suggestion_documents(found: Sequence[Suggestion] | None) -> list[dict[str, object]]:
    """Every one, under `suggestions` of the contract."""
    return [
        {
            "change": each.change,
            "saves_mib": each.saves_mib,
            "writes": list(each.writes),
            "kinds": list(each.kinds),
            "host": each.host,
            "gpus": list(each.cards),
            "tokens_per_second": each.tokens_per_second,
            "worse": [
                {
                    "workload": worse.workload,
                    "loses_its_place": worse.loses,
                    "tokens_per_second_before": worse.tokens_per_second[0],
                    "tokens_per_second_after": worse.tokens_per_second[1],
                }
                for worse in each.worse
            ],
            "also_placed": list(each.also),
        }
        for each in found or ()
    ]


def _capital(found: Suggestion) -> str:
    where = ", ".join(found.cards) or f"{found.host} without a card"
    speed = "" if found.tokens_per_second is None else f" at {found.tokens_per_second:.0f} tokens/s"
    saved = f", saves {size(found.saves_mib)}" if found.saves_mib else ""
    said = f"{found.change}{saved}. Then on {where}{speed}"
    if found.also:
        said += f", and {' and '.join(found.also)} has a place too"
    for each in found.worse:
        said += f"; {_paid(each)}"
    return f"{said}."


def _paid(worse: Worse) -> str:
    if worse.loses:
        return f"{worse.workload} loses its place"
    before, after = worse.tokens_per_second
    if before is None or after is None:
        return f"{worse.workload} runs in a smaller way"
    return f"{worse.workload} goes from {before:.0f} to {after:.0f} tokens/s"


def _wrapped(text: str, first: str, later: str | None = None, width: int = _WIDTH) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
