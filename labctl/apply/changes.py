"""What becomes of each workload when one generation follows another, and why; in words a tired person understands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from labctl.apply.generation import Generation
from labctl.apply.reasons import about, reasons
from labctl.transaction.decision import Change, FileSeen, compare, down
from labctl.transaction.manifest import ManagedUnit, Manifest

# started: as it was, but it does not run. quiet: its files change, and nothing that runs.
Kind = Literal["added", "changed", "removed", "started", "quiet"]
_NONE = Generation(Manifest((), ()), {})


@dataclass(frozen=True)
class WorkloadChange:
    """One workload that does not stay as it is. starts: what of it is started, anew where it runs already."""

    workload: str
    kind: Kind
    why: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerationChange:
    """From what is in force to another generation.

    untouched: workloads that run on as they are. starting: units that are started, anew where they run. edited,
    foreign: files, as `labctl.transaction.decision.Change` has them. other_plan: the plan is another, whatever becomes
    of the units.
    """

    workloads: tuple[WorkloadChange, ...]
    untouched: tuple[str, ...]
    starting: tuple[ManagedUnit, ...]
    edited: tuple[str, ...]
    foreign: tuple[str, ...]
    other_plan: bool
    is_none: bool


def changes(
    new: Generation, old: Generation | None, installed: Mapping[str, FileSeen], up: frozenset[str]
) -> GenerationChange:
    """Hold `new` against the generation in force, the files as they are and the units that run."""
    was = old or _NONE
    change = compare(new.manifest, old.manifest if old else None, installed)
    missing = {unit.unit for unit in down(new.manifest.units, up) if unit in change.unchanged}
    found = [
        each
        for name in sorted({*_names(new), *_names(was)})
        if (each := _workload(name, new, was, change, missing)) is not None
    ]
    touched = {each.workload for each in found}
    other_plan = new.files.get("plan.json") != was.files.get("plan.json")
    return GenerationChange(
        workloads=tuple(found),
        untouched=tuple(sorted(_names(new) - touched)),
        starting=tuple(
            unit
            for unit in new.manifest.units
            if unit.start and (unit in change.added or unit in change.changed or unit.unit in missing)
        ),
        edited=change.edited,
        foreign=change.foreign,
        other_plan=other_plan,
        is_none=change.is_none and not missing and not other_plan and old is not None,
    )


def _names(generation: Generation) -> set[str]:
    return {generation.workload(unit) for unit in generation.manifest.units}


def _workload(
    name: str, new: Generation, old: Generation, change: Change, missing: set[str]
) -> WorkloadChange | None:
    own = [unit for unit in new.manifest.units if new.workload(unit) == name]
    if not own:
        return WorkloadChange(name, "removed")
    starting = [unit for unit in own if unit in (*change.added, *change.changed) or unit.unit in missing]
    # A timer starts nothing yet.
    starts = tuple(
        unit.name
        for unit in starting
        if unit.kind == "service" and unit.start and unit.unit.endswith(".service")
    )
    if name not in _names(old):
        first = next((unit for unit in own if unit.container and unit.name == name), own[0])
        return WorkloadChange(name, "added", tuple(about(new.text(first.files[0]))), starts)
    gone = any(old.workload(unit) == name for unit in change.removed)
    why = tuple(_why(name, own, new, old, change)) if starting or gone else ()
    if any(unit.unit not in missing for unit in starting) or gone:
        return WorkloadChange(name, "changed" if starts else "quiet", why, starts)
    return WorkloadChange(name, "started", starts=starts) if starts else None


def _why(name: str, own: list[ManagedUnit], new: Generation, old: Generation, change: Change) -> list[str]:
    found: list[str] = []
    paths = dict.fromkeys(path for unit in own for path in unit.files)
    wrong = {file.path for file in change.write}
    for path in paths:
        before, after = old.text(path), new.text(path)
        part = _part(path, name)
        if path in change.edited and path in wrong and before == after:
            found.append(f"{part}edited by hand")
        elif path not in old.files:
            found.append(f"{part}new {_what(path)}")
        elif before != after:
            found += [f"{part}{each}" for each in reasons(before, after)]
        elif path in wrong:
            found.append(f"{part}a file was missing")
    gone = [path for unit in change.removed if old.workload(unit) == name for path in unit.files]
    found += [f"{_part(path, name)}no {_what(path)} any more" for path in gone if path not in paths]
    return list(dict.fromkeys(found))


def _part(path: str, name: str) -> str:
    """What comes before a reason where it is of a companion: `db: `. A network is of whoever stands on it."""
    stem = path.rpartition("/")[2].rpartition(".")[0].removeprefix("labctl-")
    rest = stem.removeprefix(f"{name}-")
    return f"{rest}: " if rest != stem and path.endswith(".container") else ""


def _what(path: str) -> str:
    kinds = {"container": "container", "network": "network", "volume": "volume", "timer": "time"}
    plain = "lock on its cards" if "_start" in path else "look for its files" if "_look" in path else "file"
    return kinds.get(path.rpartition(".")[2], plain)
