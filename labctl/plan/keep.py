"""What a plan says runs now, for a placement that moves as little as possible."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from labctl.errors import BadInput
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
            json.dumps(workload.variant, sort_keys=True, separators=(",", ":")),
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
        raise _wrong("the kept plan has no such card", old, places)
    if new not in hosts:
        raise _wrong("the rig has no such card", new, hosts)
    if old in hosts:
        raise _wrong("this card is still there, so none took its place", old, set(places) - set(hosts))
    if new in places:
        raise _wrong("this card is in the kept plan already", new, set(hosts) - set(places))
    if hosts[new] != places[old][0]:
        here = {card for card, host in hosts.items() if host == places[old][0]} - set(places)
        raise _wrong(f"{old} was on {places[old][0]}, this card is on {hosts[new]}", new, here)
    for index, name in enumerate((old, new)):
        if sum(each.split("=")[index : index + 1] == [name] for each in written) > 1:
            raise BadInput(
                "a card is replaced twice", where="--replace", found=name, expected="each card once"
            )
    return old, new


def _wrong(message: str, found: str, possible: Iterable[str]) -> BadInput:
    """Names the card that was meant, most likely; else all that there are."""
    known = sorted(possible)
    near = get_close_matches(found, known, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}" if known else None
    return BadInput(message, where="--replace", found=found, hint=hint)
