"""Levers on who may be where and when: limits that a person set on cards, caps, ports, and time."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from labctl.place.options import Wish
from labctl.place.placement import Placement, Question
from labctl.place.suggestion import Alternatives, Change, Kind, Written
from labctl.place.suggestion_levers import Ladder, Lever, entry, listed, wish_of
from labctl.workloads.workload import GpuLimits, Window, Workload

# Evening first: that is when people at home want pictures made.
WINDOWS = (
    ("19:00-23:00", Window(19 * 60, 23 * 60)),
    ("08:00-12:00", Window(8 * 60, 12 * 60)),
    ("01:00-06:00", Window(60, 6 * 60)),
)
# Engines whose work can wait for its hour.
_CAN_WAIT = ("comfyui", "diffusers", "training")
# Caps are round figures, and less than the least is of no use to any engine.
_CAP_STEP_MIB, _LEAST_CAP_MIB = 512, 2048
# For an engine without one, the larger first; names of the catalogue.
_PICTURE_MODELS = ("sdxl", "sd1.5")
Hours = tuple[str, Window]


def limits_lifted(wish: Wish, kind: Kind) -> Iterator[Ladder]:
    """Each limit on cards that was set, without it; then only as wide as it has to be."""
    limits, name = wish.workload.gpus, wish.workload.name
    for key, is_set in (
        ("uuids", limits.uuids),
        ("models", limits.models),
        ("host", limits.host),
        ("count", limits.count if kind == "pin" else None),
        ("exclusive", limits.exclusive),
    ):
        if is_set:
            yield (_limit(kind, name, key),)


def _limit(kind: Kind, name: str, key: str) -> Lever:
    def apply(question: Question, found: Placement | None) -> Change | None:
        wish = wish_of(question, name)
        limits, written, note = _lifted(wish.workload.gpus, key, name, question, found)
        changed = replace(wish, workload=replace(wish.workload, gpus=limits))
        return entry(question, kind, [f"gpus.{key}: {written}"], note, changed)

    return Lever(kind, apply)


def _lifted(
    limits: GpuLimits, key: str, name: str, question: Question, found: Placement | None
) -> tuple[GpuLimits, str, str]:
    """The limits with one of them lifted; what to write, and what that means."""
    option = None if found is None else found.placed.get(name)
    cards = sorted(option.claims_mib) if option else []
    match key:
        case "uuids":
            wider = (*limits.uuids, *(each for each in cards if each not in limits.uuids)) if option else ()
            return replace(limits, uuids=wider), listed(wider), "more cards may serve"
        case "models":
            here = {card.id: card.gpu.name for card in question.rig.cards}
            new = sorted({here[each] for each in cards if here[each] not in limits.models})
            models = (*limits.models, *new) if option else ()
            return replace(limits, models=models), listed(models), "other models of card may serve"
        case "host":
            host = option.host if option else None
            return replace(limits, host=host), host or "null", "it may run on another host"
        case "count":
            n_cards = len(cards) or None
            return replace(limits, count=n_cards), str(n_cards or "null"), "another number of cards may serve"
        case _:
            return replace(limits, exclusive=False), "false", "others may be on its cards too"


def together(one: Workload, other: Workload) -> Iterator[Ladder]:
    """Both on one card, where `apart_from` of either keeps them off."""
    for wishing, avoided in ((one.name, other), (other.name, one)):
        workload = one if wishing == one.name else other
        if avoided.name in workload.apart_from:
            yield (_no_longer_apart(wishing, avoided.name),)


def _no_longer_apart(name: str, avoided: str) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, name)
        left = tuple(each for each in wish.workload.apart_from if each != avoided)
        changed = replace(wish, workload=replace(wish.workload, apart_from=left))
        note = f"{name} and {avoided} may be on one card, and slow each other"
        return entry(question, "pin", [f"apart_from: {listed(left)}"], note, changed)

    return Lever("pin", apply)


def ports_freed(wish: Wish) -> Iterator[Ladder]:
    """A port of the host that was fixed: any free one instead."""
    name = wish.workload.name
    if not any(":" in port for port in wish.workload.ports):
        return

    def apply(question: Question, _: Placement | None) -> Change:
        found = wish_of(question, name)
        ports = tuple(port.split(":")[-1] for port in found.workload.ports)
        changed = replace(found, workload=replace(found.workload, ports=ports))
        return entry(
            question, "port", [f"ports: {listed(ports)}"], "it is given a free port of the host", changed
        )

    yield (Lever("port", apply),)


def fills_a_card(wish: Wish) -> bool:
    """Whether it takes all that a card has: its clients choose what it loads, and nobody said how much."""
    return wish.candidate is None and wish.service.elastic and wish.workload.vram_mib is None


def capped(wish: Wish, most_mib: int, free_mib: int = 0) -> Iterator[Ladder]:
    """An engine that fills what is free, held to less: to what is free, to a half of the card, to a quarter."""
    if not fills_a_card(wish):
        return
    least = max(_LEAST_CAP_MIB, wish.service.least_vram_mib)
    caps = [each // _CAP_STEP_MIB * _CAP_STEP_MIB for each in (free_mib, most_mib // 2, most_mib // 4)]
    yield tuple(_cap(wish.workload.name, cap) for cap in dict.fromkeys(caps) if cap >= least)


def best_free_mib(placement: Placement) -> int:
    """What is left on the card that has most left, under this placement."""
    held: dict[str, int] = {}
    for option in placement.placed.values():
        for card, claim in option.claims_mib.items():
            held[card] = held.get(card, 0) + claim
    return max(
        ((card.usable_mib or 0) - held.get(card.id, 0) for card in placement.question.rig.cards), default=0
    )


def given_a_model(wish: Wish, other: Alternatives) -> Iterator[Ladder]:
    """An engine that makes pictures, held to one model: it then claims what that one takes, not a card of its own."""
    if not fills_a_card(wish) or wish.service.engine != "comfyui":
        return
    yield tuple(_made_with(wish.workload.name, model, other) for model in _PICTURE_MODELS)


def _made_with(name: str, model: str, other: Alternatives) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change | None:
        changed = other.wish(replace(wish_of(question, name).workload, model=model))
        note = "it claims what that model takes, not a card of its own"
        return None if changed is None else entry(question, "model", [f"model: {model}"], note, changed)

    return Lever("model", apply)


def _cap(name: str, cap_mib: int) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, name)
        changed = replace(wish, workload=replace(wish.workload, vram_mib=cap_mib))
        note = "it takes no more than that, and others fit beside it"
        return entry(question, "cap", [f"vram_mib: {cap_mib}"], note, changed)

    return Lever("cap", apply)


def in_turn(question: Question, asking: Wish, holder: Wish) -> Iterator[Ladder]:
    """The same card at different times."""
    one, other = asking.workload, holder.workload
    if _is_job(one) and not _is_job(other):
        if other.name not in one.displaces:
            yield (_in_turn(one.name, other.name, ()),)
    elif _is_job(other) and not _is_job(one):
        if one.name not in other.displaces:
            yield (_in_turn(other.name, one.name, ()),)
    elif _is_job(one):
        yield (_in_turn(one.name, None, _free_hours(question, one.name)),)
    elif asking.candidate is not None and asking.candidate.engine in _CAN_WAIT:
        yield (_in_turn(one.name, other.name, _free_hours(question, one.name)),)


def _is_job(workload: Workload) -> bool:
    return bool(workload.displaces) or workload.when is not None or workload.training is not None


def _free_hours(question: Question, name: str) -> tuple[Hours, ...]:
    """At which no other job runs; none where all are taken."""
    others = [wish.workload.when for wish in question.wishes if wish.workload.name != name]
    taken = [each for each in others if each is not None]
    free = (each for each in WINDOWS if not any(each[1].overlaps(other) for other in taken))
    return tuple(islice(free, 1))


def _in_turn(job: str, displaced: str | None, hours: tuple[Hours, ...]) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, job)
        workload, writes, notes = wish.workload, [], []
        for written, window in hours:
            workload = replace(workload, when=window)
            writes.append(f'when: "{written}"')
            notes.append(f"{job} runs at these hours, or others of your choice")
        if displaced is not None:
            workload = replace(workload, displaces=tuple(sorted({*workload.displaces, displaced})))
            writes.append(f"displaces: {listed(workload.displaces)}")
            notes.append(f"{displaced} steps aside while {job} runs, and comes back")
        kind: Kind = "hours" if hours else "time_share"
        change = entry(question, kind, writes, ", ".join(notes), replace(wish, workload=workload))
        return change if displaced is None else _beside(change, job, displaced)

    return Lever("hours" if hours else "time_share", apply)


def _beside(change: Change, job: str, displaced: str) -> Change:
    """Who is never there at the same time need not be kept apart, and could not take the other's place so."""
    for name, avoided in ((job, displaced), (displaced, job)):
        if avoided in wish_of(change.question, name).workload.apart_from:
            met = _no_longer_apart(name, avoided).apply(change.question, None)
            assert met is not None
            lines = tuple(line for each in (change, met) for line in each.writes)
            note = change.written[0].note
            change = Change(
                change.kinds, (Written(lines, note),), met.question, tuple(dict.fromkeys((*change.on, name)))
            )
    return change
