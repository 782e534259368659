"""Levers on who may be where and when: limits that a person set on cards, caps, ports, and time."""

from collections.abc import Iterator
from dataclasses import replace

from labctl.place.options import Wish
from labctl.place.placement import Placement, Question
from labctl.place.suggestion import Change, Kind
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
_CAP_STEP_MIB = 512


def limits_lifted(wish: Wish, kind: Kind) -> Iterator[Ladder]:
    """Each limit on cards that was set, without it; then only as wide as it has to be."""
    limits, name = wish.workload.gpus, wish.workload.name
    for key, is_set in (
        ("uuids", limits.uuids),
        ("models", limits.models),
        ("host", limits.host),
        ("count", limits.count),
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


def capped(wish: Wish, most_mib: int) -> Iterator[Ladder]:
    """An engine that fills what is free, held to less: a half of the card, then a quarter."""
    name = wish.workload.name
    if wish.candidate is not None or not wish.service.elastic or wish.workload.vram_mib:
        return
    caps = [most_mib // part // _CAP_STEP_MIB * _CAP_STEP_MIB for part in (2, 4)]
    yield tuple(_cap(name, cap) for cap in caps if cap)


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
            yield (_displaces(one.name, other.name),)
    elif _is_job(other) and not _is_job(one):
        if one.name not in other.displaces:
            yield (_displaces(other.name, one.name),)
    elif _is_job(one):
        yield tuple(_hours(question, one.name, None))
    elif asking.candidate is not None and asking.candidate.engine in _CAN_WAIT:
        yield tuple(_hours(question, one.name, other.name))


def _is_job(workload: Workload) -> bool:
    return bool(workload.displaces) or workload.when is not None or workload.training is not None


def _displaces(job: str, displaced: str) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, job)
        names = tuple(sorted((*wish.workload.displaces, displaced)))
        changed = replace(wish, workload=replace(wish.workload, displaces=names))
        note = f"{displaced} steps aside while {job} runs, and comes back"
        return entry(question, "time_share", [f"displaces: {listed(names)}"], note, changed)

    return Lever("time_share", apply)


def _hours(question: Question, name: str, displaced: str | None) -> Iterator[Lever]:
    """At hours that no other job has."""
    others = [wish.workload.when for wish in question.wishes if wish.workload.name != name]
    taken = [each for each in others if each is not None]
    free = (each for each in WINDOWS if not any(each[1].overlaps(other) for other in taken))
    for written, window in free:
        yield _at(name, written, window, displaced)
        return


def _at(name: str, written: str, window: Window, displaced: str | None) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, name)
        writes, note = [f'when: "{written}"'], "it runs at these hours, or others of your choice"
        workload = replace(wish.workload, when=window)
        if displaced is not None:
            workload = replace(workload, displaces=tuple(sorted({*workload.displaces, displaced})))
            writes.append(f"displaces: {listed(workload.displaces)}")
            note = f"{note}; {displaced} steps aside then, and comes back"
        return entry(question, "time_share", writes, note, replace(wish, workload=workload))

    return Lever("time_share", apply)
