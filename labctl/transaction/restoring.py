"""A transaction that did not get to its end, undone: the same for a failed start, a kill and a power cut."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.errors import Failed
from labctl.transaction import cards
from labctl.transaction.decision import memory_wanted
from labctl.transaction.disk import Disk, seen
from labctl.transaction.generations import Generations
from labctl.transaction.layout import Layout
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import ManagedUnit, parse
from labctl.transaction.open_state import OpenState
from labctl.transaction.programs import Programs
from labctl.transaction.report import Report
from labctl.transaction.services import Services
from labctl.transaction.starting import bring_up
from labctl.transaction.stopping import bring_down


@dataclass(frozen=True)
class Workplace:
    """What every step works with."""

    layout: Layout
    disk: Disk
    programs: Programs
    services: Services
    generations: Generations
    report: Report


def is_committed(at: Workplace, state: OpenState) -> bool:
    """It got to its commit, and only what comes after is missing."""
    return at.generations.current() == state.target and not state.is_repair


def close(at: Workplace, state: OpenState) -> None:
    """End a transaction that is committed or undone."""
    if state.is_new and not is_committed(at, state):
        at.generations.withdraw(state.target)
    at.disk.remove(at.layout.state)  # from here on nothing is open: what follows only tidies
    at.disk.remove_tree(at.layout.open)
    at.generations.tidy()


def restore(at: Workplace, state: OpenState, *, start: bool) -> list[str]:
    """Bring back what was before; returns the units that ran and do not come up again.

    start: not at boot, where the target starts everything a moment later. Whatever can go wrong is said and passed
    over, but for the files themselves: without them the transaction stays open.
    """
    at.report.line(f"undo: {state.transaction}")
    old = at.generations.manifest(state.parent)
    prepared = at.generations.prepared(state.target) / MANIFEST
    new = parse(prepared.read_text(), str(prepared))
    units = {unit.unit: unit for unit in (*(old.units if old else ()), *new.units)}
    # What was new is stopped as the new generation says, and what was there as the old one says.
    units |= {unit.unit: unit for unit in (old.units if old else ())}
    if start:
        touched = [units[name] for name in state.touched]
        bring_down(touched, at.services, pass_over=lambda problem: at.report.line(f"undo: {problem}"))
    _put_back(at, state)
    at.services.reload()
    not_back = _start(at, state, units) if start else []
    close(at, state)
    return not_back


def _put_back(at: Workplace, state: OpenState) -> None:
    for path, mode in sorted(state.files_before.items()):
        kept, place = at.layout.before / path, at.layout.installed(path)
        is_there = place.exists() and not place.is_symlink()
        if not is_there or seen(place).sha256 != seen(kept).sha256 or seen(place).mode != mode:
            at.disk.folder(place.parent, 0o755)
            at.disk.write(place, kept.read_bytes(), int(mode, 8))
    for path in sorted(state.files_new):
        at.disk.remove(at.layout.installed(path))


def _start(at: Workplace, state: OpenState, units: dict[str, ManagedUnit]) -> list[str]:
    up = set(at.services.up(state.up_before))
    down = [units[name] for name in state.up_before if name not in up and name in units]
    if not down:
        return []
    try:
        cards.wait_until_free(memory_wanted(down), at.programs, at.report)
    except Failed as problem:  # tried all the same: systemd starts it again when there is room
        at.report.line(f"undo: {problem}")
    return sorted(bring_up(down, at.services, at.programs, at.report, give_up=False).failed)
