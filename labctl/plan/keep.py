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
    """`OLD=NEW` as cards. Raises BadInput for one that is not in the plan, not on the rig, or cannot be meant."""
    return dict(_pair(each, written, plan, rig) for each in written)


def _pair(text: str, written: tuple[str, ...], plan: Plan, rig: Rig) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not (old and new):
        raise BadInput(
            "not a replacement",
            where="--replace",
            found=text,
            expected="OLD=NEW, two cards as `labctl gpus --json` shows them",
        )
    places, hosts = plan.places, {card.id: card.host for card in rig.cards}
    if old not in places:
        raise _unknown("the kept plan has no such card", old, places)
    if new not in hosts:
        raise _unknown("the rig has no such card", new, hosts)
    host = places[old][0]
    if old in hosts:
        gone = [card for card, (on, _) in places.items() if on == host and card not in hosts]
        raise _not_that("this card is still there, so none took its place", old, gone)
    fresh = [card for card, on in hosts.items() if on == host and card not in places]
    if new in places:
        raise _not_that("this card is in the kept plan already", new, fresh)
    if hosts[new] != host:
        raise _not_that(f"{old} was on {host}, this card is on {hosts[new]}", new, fresh)
    for index, name in enumerate((old, new)):
        if sum(each.split("=")[index : index + 1] == [name] for each in written) > 1:
            raise BadInput(
                "a card is replaced twice", where="--replace", found=name, expected="each card once"
            )
    return old, new


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
