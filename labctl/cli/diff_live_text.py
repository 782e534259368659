"""What a person reads from `labctl diff PLAN live`. Pure, within 80 columns."""

from collections.abc import Iterator

from labctl.cli.diff_text import hardware_line
from labctl.cli.fit_text import size
from labctl.cli.plan_words import Cards, wrapped
from labctl.plan.live import LiveDiff, Seen, UnitFinding, is_read
from labctl.plan.plan import Plan


def live_text(found: LiveDiff, plan: Plan, file: str, seen: Seen, problems: tuple[str, ...]) -> str:
    """Verdict, hardware, units, and what nobody could see."""
    cards = Cards(plan.places, found.places)
    lines = list(wrapped(" ".join(_verdict(found, file, seen))))
    if found.hardware:
        lines += ["", "Hardware"]
    for each in found.hardware:
        lines += wrapped(hardware_line(each, cards), indent="  ", later="      ")
    if found.units:
        lines += ["", "Services"]
    for unit in found.units:
        lines += wrapped(unit_line(unit, cards), indent="  ", later="      ")
    for problem in problems:
        lines += wrapped(f"! {problem}", later="  ")
    lines += ["", *_not_seen(found, plan, seen)]
    return "".join(f"{line}\n" for line in lines).rstrip("\n") + "\n"


def _verdict(found: LiveDiff, file: str, seen: Seen) -> Iterator[str]:
    answered = [each.host.name for each in seen.hosts if is_read(each)]
    there = ", ".join(answered) if seen.running else f"The rig file's {', '.join(answered)}"
    if answered:
        yield f"{there} {'is' if len(answered) == 1 else 'are'}{'' if found.same else ' not'} as {file} says."
    yield from (f"{each.host.name} does not answer." for each in seen.hosts if not is_read(each))


def unit_line(found: UnitFinding, cards: Cards) -> str:
    """One unit on one card, as a clause."""
    held = "memory" if found.held_mib is None else size(found.held_mib)
    card, planned = cards.name(found.card), cards.names(found.planned_cards, "no card")
    match found.kind:
        case "wrong_card":
            return f"{found.unit} holds {held} on {card}, but belongs on {planned}"
        case "silent":
            claim = size(found.claim_mib or 0)
            return f"{found.unit} holds nothing on {card}, where {claim} is planned: does it run?"
        case "above_claim":
            over = size((found.held_mib or 0) - (found.claim_mib or 0))
            return f"{found.unit} holds {held} on {card}, {over} more than its claim"
        case "unplanned":
            return f"{found.unit} holds {held} on {card} and is not in the plan"


def _not_seen(found: LiveDiff, plan: Plan, seen: Seen) -> list[str]:
    lines: list[str] = []
    if not seen.running:
        lines += wrapped("A rig file says nothing of what runs: only hardware was compared.")
    elif found.unseen:
        lines += wrapped(
            f"Not seen: {', '.join(found.unseen)}. Only services that hold memory on a card can be seen so far."
        )
    if found.not_looked_at:
        lines += wrapped(f"Not looked at: {', '.join(found.not_looked_at)}; --inventory names more hosts.")
    if not plan.rig.bound:
        lines += wrapped("The plan knows no UUIDs: cards were compared by their place on the host.")
    return lines
