"""What differs between two plans, for a person and for a tool. Nothing of it depends on how either was written."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from labctl.place.problem import Card, Host, Option, Problem, Workload
from labctl.place.problem_limits import Usage
from labctl.plan.hardware_diff import HardwareChange, hardware_changes
from labctl.plan.plan import Plan, PlannedWorkload

# removed: no longer asked for; unplaced: asked for, and without a place now.
Kind = Literal["added", "removed", "unplaced", "moved", "changed"]
_MINUTES = 60


@dataclass(frozen=True)
class Setting:
    """One setting that differs. None: not set."""

    key: str
    before: object
    after: object


@dataclass(frozen=True)
class WorkloadChange:
    """One workload that differs. hosts and cards: None and () on the side where it has no place."""

    workload: str
    kind: Kind
    host_before: str | None
    host_after: str | None
    cards_before: tuple[str, ...] = ()
    cards_after: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class CardChange:
    """Claims on one card. None: the plan knows no such card."""

    card: str
    host: str
    claimed_before_mib: int | None
    claimed_after_mib: int | None


@dataclass(frozen=True)
class PlanDiff:
    """Everything that differs. cards: only those with other claims."""

    workloads: tuple[WorkloadChange, ...]
    cards: tuple[CardChange, ...]
    hardware: tuple[HardwareChange, ...]

    @property
    def same(self) -> bool:
        """Whether nothing does."""
        return not (self.workloads or self.cards or self.hardware)


def difference(before: Plan, after: Plan) -> PlanDiff:
    """From one plan to the other. What the solver said of either does not count."""
    return PlanDiff(
        tuple(_workloads(before, after)),
        tuple(_cards(before, after)),
        hardware_changes(before.rig.hosts, after.rig.hosts),
    )


def _workloads(before: Plan, after: Plan) -> Iterator[WorkloadChange]:
    for name in sorted({*before.workloads, *after.workloads, *before.unplaced, *after.unplaced}):
        old, new = before.workloads.get(name), after.workloads.get(name)
        if old is not None and new is not None:
            settings = tuple(_settings(old, new))
            moved = (old.host, old.card_ids) != (new.host, new.card_ids)
            if moved or settings:
                kind: Kind = "moved" if moved else "changed"
                yield WorkloadChange(name, kind, old.host, new.host, old.card_ids, new.card_ids, settings)
        elif new is not None:
            yield WorkloadChange(name, "added", None, new.host, (), new.card_ids)
        elif old is not None:
            kind = "unplaced" if name in after.unplaced else "removed"
            yield WorkloadChange(name, kind, old.host, None, old.card_ids)
        elif (name in before.unplaced) != (name in after.unplaced):
            yield WorkloadChange(name, "unplaced" if name in after.unplaced else "removed", None, None)


def _settings(old: PlannedWorkload, new: PlannedWorkload) -> Iterator[Setting]:
    """What differs beside host and cards. Claims only where they are on the same cards: elsewhere they may well."""
    before, after = _flat(old), _flat(new)
    if old.card_ids == new.card_ids:
        for one, other in zip(old.cards, new.cards, strict=True):
            if one != other:
                before[f"claim.{one.card}"], after[f"claim.{one.card}"] = one.high_mib, other.high_mib
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key) or key.startswith("claim."):
            yield Setting(key, before.get(key), after.get(key))


def _flat(workload: PlannedWorkload) -> dict[str, Any]:
    """Settings by dotted key; what is not set is left out."""
    found: dict[str, Any] = {}
    for key, value in asdict(workload).items():
        if key in ("host", "cards"):
            continue
        if key == "ports":
            found |= {f"ports.{each.container}/{each.protocol}": each.host for each in workload.ports}
        elif isinstance(value, dict):
            found |= {each if key == "variant" else f"{key}.{each}": told for each, told in value.items()}
        elif isinstance(value, tuple):
            found[key] = list(value)
        else:
            found[key] = value
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _cards(before: Plan, after: Plan) -> Iterator[CardChange]:
    old, new = claimed_mib(before), claimed_mib(after)
    places = {**before.places, **after.places}
    for card in sorted(places, key=lambda each: (*places[each], each)):
        if (old.get(card) or 0) != (new.get(card) or 0):
            yield CardChange(card, places[card][0], old.get(card), new.get(card))


def claimed_mib(plan: Plan) -> Mapping[str, int]:
    """Per card: claims of those that may be resident together, as placement counts them."""
    names = sorted(plan.workloads)
    problem = Problem(
        hosts=tuple(Host(host.name) for host in plan.rig.hosts),
        cards=tuple(Card(card.id, host.name, 0) for host in plan.rig.hosts for card in host.cards),
        workloads=tuple(
            Workload(
                name, displaces=plan.workloads[name].displaces, window=_window(plan.workloads[name].when)
            )
            for name in names
        ),
        options=tuple(
            Option(
                name,
                plan.workloads[name].host,
                {claim.card: claim.high_mib for claim in plan.workloads[name].cards},
            )
            for name in names
        ),
    )
    return Usage(problem, {name: index for index, name in enumerate(names)}).claimed_mib


def _window(when: str | None) -> tuple[int, int] | None:
    if when is None:
        return None
    first, last = (_MINUTES * int(each[:2]) + int(each[3:]) for each in when.split("-"))
    return first, last
