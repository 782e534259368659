"""What a person reads from `labctl diff PLAN PLAN`. Pure, within 80 columns."""

from collections.abc import Iterator

from labctl.cli.fit_text import size
from labctl.cli.plan_words import Cards, change_line, wrapped
from labctl.plan.diff import CardChange, PlanDiff
from labctl.plan.hardware_diff import HardwareChange
from labctl.plan.plan import Plan

_BAR = 20


def plans_text(found: PlanDiff, plans: tuple[Plan, Plan], files: tuple[str, str]) -> str:
    """Verdict, workloads, claims of cards before and after, hardware."""
    before, after = files
    cards = Cards(*(plan.places for plan in plans))
    lines = list(wrapped(f"{before} and {after} {'say the same' if found.same else 'differ'}."))
    if found.workloads:
        lines += ["", "Workloads"]
    for change in found.workloads:
        lines += wrapped(change_line(change, cards), indent="  ", later="      ")
    if found.cards:
        lines += ["", *_claims(found.cards, cards)]
    if found.hardware:
        lines += ["", "Hardware"]
    for each in found.hardware:
        lines += wrapped(hardware_line(each, cards), indent="  ", later="      ")
    return "".join(f"{line}\n" for line in lines)


def _claims(changed: tuple[CardChange, ...], cards: Cards) -> Iterator[str]:
    names = [cards.name(each.card) for each in changed]
    width = max(len("Claimed"), *(len(name) + 2 for name in names))
    yield f"{'Claimed':{width}}  {'before':>10}  {'after':>10}"
    for name, each in zip(names, changed, strict=True):
        before, after = each.claimed_before_mib, each.claimed_after_mib
        yield f"  {name:{width - 2}}  {_amount(before):>10}  {_amount(after):>10}{_by(before, after)}"


def _amount(mebibytes: int | None) -> str:
    return "not there" if mebibytes is None else size(mebibytes) if mebibytes else "nothing"


def _by(before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return ""
    return f"  {'+' if after > before else '−'}{size(abs(after - before))}"


def hardware_line(change: HardwareChange, cards: Cards) -> str:
    """One difference of hardware, as a clause."""
    card = cards.name(change.card) if change.card else ""
    match change.kind:
        case "host_gone":
            return f"{change.host} is gone, and with it {change.before or 'no card'}"
        case "host_new":
            return f"{change.host} is new, with {change.after or 'no card'}"
        case "card_gone":
            return f"{card} is gone ({change.before})"
        case "card_new":
            return f"{card} is new ({change.after})"
        case "model":
            return f"{card} is {change.after}, not {change.before}"
        case "memory":
            return f"{card} has {_memory(change.after)} of memory, not {_memory(change.before)}"
        case "order":
            before, after = (_ids(each, cards) for each in (change.before, change.after))
            return f"{change.host} has its cards in another order: {before} before, {after} now"
        case "ram":
            return f"{change.host} has {_gib(change.after)} of RAM, not {_gib(change.before)}"


def _memory(mebibytes: object) -> str:
    return f"{mebibytes} MiB" if isinstance(mebibytes, int) else "an unknown amount"


def _gib(gibibytes: object) -> str:
    return f"{gibibytes} GiB" if isinstance(gibibytes, int) else "an unknown amount"


def _ids(found: object, cards: Cards) -> str:
    return ", ".join(cards.name(str(each)) for each in found) if isinstance(found, list) else ""
