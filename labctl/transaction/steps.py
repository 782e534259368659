"""The steps from one generation to the next: check and pull while all runs, then switch, then commit or undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import AnswerIsNo, BadInput, Failed, LabctlError
from labctl.transaction import cards, checking, data_images, images
from labctl.transaction.decision import (
    Change,
    compare,
    down,
    memory_wanted,
    migrations_refused,
)
from labctl.transaction.disk import installed, refused
from labctl.transaction.layout import TARGET
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import ManagedUnit, Manifest, parse, unbound
from labctl.transaction.open_state import OpenState
from labctl.transaction.report import Result
from labctl.transaction.restoring import Workplace, close, is_committed, restore
from labctl.transaction.starting import bring_up
from labctl.transaction.stopping import bring_down


class Cancelled(Failed):
    """systemd, or a person, asked the transaction to end."""


class NotHealthy(Failed):
    """A unit does not come up. unit: its name."""

    def __init__(self, unit: ManagedUnit, reason: str) -> None:
        super().__init__(reason, where=unit.name, hint=f"journalctl -u {unit.unit}")
        self.unit = unit.unit


@dataclass(frozen=True)
class Wanted:
    """Where a transaction goes. folder: a stage or a generation, which is then `target`."""

    folder: Path
    manifest: Manifest
    target: int
    is_new: bool
    is_repair: bool


def wanted(at: Workplace, instance: str) -> Wanted:
    """What an instance name means: a stage's id, `generation-N` or `previous`, bound to the generation in force or not.

    Raises BadInput or Failed when it is not there or damaged, AnswerIsNo where another generation is in force.
    """
    current = at.generations.current()
    instance, after = unbound(instance)
    if after is not None and after != (current or 0):
        raise AnswerIsNo(
            "another generation has come into force meanwhile",
            where="this host",
            found=_generation(current),
            expected=f"{_generation(after)}, which this was compared with",
            hint="run the same command again: it shows what would change now",
        )
    if instance == "previous" or instance.startswith("generation-"):
        number = at.generations.before_current() if instance == "previous" else _number(instance)
        at.generations.about(number)
        folder, stage_id = at.generations.folder(number), None
        target, is_new = number, False
    else:
        folder, stage_id = at.layout.stages / instance, instance
        same = current is not None and at.generations.about(current).stage == instance
        target, is_new = (
            (current, False) if same and current is not None else (at.generations.next_number(), True)
        )
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput("there is no such stage", where=str(path), hint="stage it first: labctl apply")
    text = path.read_text()
    manifest = parse(text, str(path))
    checking.refuse_damaged(folder, manifest, text, stage_id)
    return Wanted(folder, manifest, target, is_new, is_repair=target == current)


def run(at: Workplace, instance: str, result: Result) -> None:
    """Take the host to what `instance` names. What came of it stands in `result`; raises nothing of labctl's."""
    try:
        to = wanted(at, instance)
        result.generation = result.previous = at.generations.current()
        old = at.generations.manifest(result.previous)
        change = compare(to.manifest, old, installed(at.layout))
        _note(change, result)
        up = set(at.services.up([unit.unit for unit in to.manifest.units]))
        missing = down(to.manifest.units, up)
        if change.is_none and not missing and to.is_repair:
            result.outcome = "unchanged"
            at.report.line(f"unchanged: generation {result.generation}")
            return
        _check(at, to, old, change, missing)
        images.pull(to.manifest.images, at.programs, at.report)
        state = _open(at, to, old, change, instance, result)
    except LabctlError as problem:
        result.failed(problem)
        return
    except OSError as problem:
        result.failed(refused(problem))
        return
    try:
        _switch(at, to, old, change, state, result)
    except (LabctlError, OSError) as problem:
        _undo(at, state, result, refused(problem) if isinstance(problem, OSError) else problem)


def _check(
    at: Workplace, to: Wanted, old: Manifest | None, change: Change, missing: list[ManagedUnit]
) -> None:
    at.report.line(f"check: {len(to.manifest.trees)} files, {len(to.manifest.units)} units")
    for refusal in migrations_refused(to.manifest, data_images.last_images(at.layout, old)):
        raise refusal
    checking.refuse_bad_units(to.folder, to.manifest, at.programs)
    starting = {unit.unit: unit for unit in (*change.added, *change.changed, *missing)}.values()
    cards.refuse_missing(memory_wanted(starting), at.programs)
    old_units = {unit.unit: unit for unit in old.units} if old else {}
    stopping = [*change.removed, *(old_units[unit.unit] for unit in change.changed)]
    checking.refuse_taken_ports(starting, stopping, at.programs)


def _open(
    at: Workplace, to: Wanted, old: Manifest | None, change: Change, instance: str, result: Result
) -> OpenState:
    """Write down how to come back, and then that there is something to come back from."""
    now = at.programs.now()
    at.disk.remove_tree(at.layout.open)
    at.disk.folder(at.layout.open, 0o700)
    before: dict[str, str] = {}
    files = installed(at.layout)
    for path in (*(file.path for file in change.write), *change.remove):
        if path in files:
            at.disk.copy(at.layout.installed(path), at.layout.before / path, 0o600)
            before[path] = files[path].mode
            if path in change.edited:
                kept = at.layout.edited / str(to.target)
                at.disk.copy(at.layout.installed(path), kept / path, 0o600)
                result.kept = str(kept)
    data_images.keep(at.layout, at.disk, old)
    if to.is_new:
        at.generations.prepare(to.folder, to.target, now)
    up = at.services.up([unit.unit for unit in old.units]) if old else []
    state = OpenState(
        transaction=instance,
        target=to.target,
        is_new=to.is_new,
        is_repair=to.is_repair,
        parent=result.previous,
        boot_id=at.layout.boot_id.read_text().strip(),
        started_at=now,
        files_before=before,
        files_new=[file.path for file in change.write if file.path not in files],
        up_before=up,
    )
    state.save(at.layout, at.disk)
    return state


def _switch(
    at: Workplace, to: Wanted, old: Manifest | None, change: Change, state: OpenState, result: Result
) -> None:
    old_units = {unit.unit: unit for unit in old.units} if old else {}
    stopping = [*change.removed, *(old_units[unit.unit] for unit in change.changed)]

    def before(units: Sequence[ManagedUnit]) -> None:
        at.report.line(f"stop: {', '.join(unit.name for unit in units)}")
        state.touch([unit.unit for unit in units], at.layout, at.disk)

    bring_down(stopping, at.services, before)
    # Also what stopped because it needs what was stopped.
    up = set(at.services.up([unit.unit for unit in to.manifest.units]))
    starting = down(to.manifest.units, up)
    cards.wait_until_free(memory_wanted(starting), at.programs, at.report)
    # Also where the files are as wanted: whoever edited them by hand may have left systemd with the old ones.
    if not change.is_none:
        _install(at, to, change)
    # One that a workload finds there under its name may be another than it says.
    kept = {unit.network for unit in to.manifest.units if unit.network and unit not in change.added}
    for left in at.services.remove_networks_but(kept):
        at.report.line(f"left: {left}")
    state.touch([unit.unit for unit in starting], at.layout, at.disk)
    brought = bring_up(starting, at.services, at.programs, at.report, give_up=True)
    result.started = brought.healthy
    for name, reason in brought.failed.items():
        raise NotHealthy(next(unit for unit in starting if unit.unit == name), reason)
    if not at.services.up([TARGET]):
        at.services.start([TARGET])
    if not to.is_repair:
        at.generations.commit(to.target)
    close(at, state)
    result.outcome, result.generation = "done", to.target
    at.report.line(f"done: generation {to.target}")


def _install(at: Workplace, to: Wanted, change: Change) -> None:
    at.report.line(f"install: {len(change.write)} files, {len(change.remove)} go")
    for file in change.write:
        place = at.layout.installed(file.path)
        at.disk.folder(place.parent, 0o755)
        if place.is_dir():
            raise Failed("a folder stands where a file belongs", where=str(place), hint="move it away")
        at.disk.write(place, (to.folder / file.path).read_bytes(), int(file.mode, 8))
    for path in change.remove:
        at.disk.remove(at.layout.installed(path))
    at.services.reload()


def _undo(at: Workplace, state: OpenState, result: Result, problem: LabctlError) -> None:
    if is_committed(at, state) or not at.layout.state.exists():
        result.outcome, result.generation = "done", state.target
        at.report.line(f"done: generation {state.target}; left for later: {problem}")
        return
    since = state.started_at.replace("T", " ").replace("+00:00", " UTC")
    log = at.services.last_lines(problem.unit, since) if isinstance(problem, NotHealthy) else []
    result.failed(problem, log)
    if not isinstance(problem, NotHealthy):  # which was said when it was seen
        at.report.line(f"failed: {problem}")
    for line in log:
        at.report.line(f"  {line}")
    if isinstance(problem, Cancelled) and at.services.is_stopping():
        result.outcome = "left for the next boot"
        return
    try:
        result.not_back = restore(at, state, start=True)
    except (LabctlError, OSError) as worse:
        # The state is still there: the unit's own end, the next boot and the next apply try again.
        at.report.line(f"undo: {refused(worse) if isinstance(worse, OSError) else worse}")
        result.outcome = "left for the next boot"
        return
    result.started = []
    result.outcome = "rolled back"
    at.report.line(f"rolled back: generation {result.previous or 'none'}")


def _note(change: Change, result: Result) -> None:
    result.added = [unit.unit for unit in change.added]
    result.changed = [unit.unit for unit in change.changed]
    result.removed = [unit.unit for unit in change.removed]
    result.edited, result.foreign = list(change.edited), list(change.foreign)


def _generation(number: int | None) -> str:
    return f"generation {number}" if number else "none"


def _number(instance: str) -> int:
    digits = instance.removeprefix("generation-")
    if not digits.isdigit():
        raise BadInput("this is no generation", found=instance, expected="generation-N")
    return int(digits)
