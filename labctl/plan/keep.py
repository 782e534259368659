"""What a plan says runs now, for a placement that moves as little as possible."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from labctl.errors import BadInput
from labctl.place.placed import variant_id
from labctl.place.problem import Incumbent
from labctl.plan.plan import Plan
from labctl.rig.rig import Rig

# Of a workload that has data on a host and no place there: it equals no option's, so starting it is a change.
NOT_RUNNING = "not running"
# `GPU-` and the first group of a UUID, which is what people copy.
LEAST_PREFIX = 12
# Host and index in PCI order, by card.
Places = Mapping[str, tuple[str, int]]


def incumbents(plan: Plan, replaced: Mapping[str, str] | None = None) -> Mapping[str, Incumbent]:
    """By workload. replaced: cards of the plan that are others now; what ran on the old one counts as on the new."""
    now = replaced or {}
    running = {
        name: Incumbent(
            workload.host,
            tuple(now.get(card, card) for card in workload.card_ids),
            variant_id(workload.variant),
        )
        for name, workload in plan.workloads.items()
    }
    data_only = {
        name: Incumbent(each.data_host, (), NOT_RUNNING)
        for name, each in plan.unplaced.items()
        if each.data_host is not None
    }
    return running | data_only


def replacements(written: tuple[str, ...], plan: Plan, rig: Rig) -> Mapping[str, str]:
    """`OLD=NEW` as cards. Raises BadInput for one that is not in the plan, not on the rig, or cannot be meant.

    A card goes by its id, the beginning of its UUID, or HOST/INDEX: OLD where the plan has it, NEW where it is now.
    """
    pairs = [
        _pair(each, plan.places, {card.id: (card.host, card.index) for card in rig.cards}) for each in written
    ]
    for side in zip(*pairs, strict=True):
        if twice := next((card for card in side if side.count(card) > 1), None):
            raise BadInput(
                "a card is replaced twice", where="--replace", found=twice, expected="each card once"
            )
    return dict(pairs)


def _pair(text: str, before: Places, now: Places) -> tuple[str, str]:
    """Of the plan, and of the rig."""
    written, _, other = text.partition("=")
    if not (written and other):
        expected = "OLD=NEW, two cards as `labctl gpus --json` shows them"
        raise BadInput("not a replacement", where="--replace", found=text, expected=expected)
    old, new = _card(written, before), _card(other, now)
    if old is None:
        raise _unknown("the kept plan has no such card", written, before)
    if new is None:
        raise _unknown("the rig has no such card", other, now)
    host, _ = before[old]
    if old in now:
        gone = [card for card, (on, _) in before.items() if on == host and card not in now]
        raise _not_that("this card is still there, so none took its place", old, gone)
    fresh = [card for card, (on, _) in now.items() if on == host and card not in before]
    if new in before:
        raise _not_that("this card is in the kept plan already", new, fresh)
    if now[new][0] != host:
        raise _not_that(f"{old} was on {host}, this card is on {now[new][0]}", new, fresh)
    return old, new


def _card(written: str, places: Places) -> str | None:
    """The one card that is meant by it."""
    if written in places:
        return written
    at = [card for card, (host, index) in places.items() if written == f"{host}/{index}"]
    begins = [card for card in places if card.startswith(written) and len(written) >= LEAST_PREFIX]
    return next((found[0] for found in (at, begins) if len(found) == 1), None)


def _unknown(message: str, found: str, known: Iterable[str]) -> BadInput:
    """Names the card that was meant, most likely."""
    near = get_close_matches(found, sorted(known), n=1, cutoff=0.8)
    return (
        _not_that(message, found, known) if not near else _wrong(message, found, f"did you mean {near[0]}?")
    )


def _not_that(message: str, found: str, possible: Iterable[str]) -> BadInput:
    return _wrong(message, found, f"there is {', '.join(sorted(possible)) or 'none that it could be'}")


def _wrong(message: str, found: str, hint: str) -> BadInput:
    return BadInput(message, where="--replace", found=found, hint=hint)
