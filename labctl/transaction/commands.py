"""The commands of the program: what systemd runs."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from types import FrameType

from labctl.errors import DONE, FAILED, Failed, LabctlError
from labctl.transaction import lock
from labctl.transaction.disk import Disk, refused
from labctl.transaction.generations import Generations
from labctl.transaction.layout import Layout
from labctl.transaction.open_state import load
from labctl.transaction.programs import HostPrograms, Programs
from labctl.transaction.report import Report, Result
from labctl.transaction.restoring import Workplace, close, is_committed, restore
from labctl.transaction.services import Services
from labctl.transaction.status import print_status
from labctl.transaction.steps import Cancelled, run


def run_command(arguments: Sequence[str]) -> int:
    """Parse a command line, and do what it says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="labctl-transaction", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="go to a stage, to generation-N, or to the previous one")
    one.add_argument("instance")
    again = commands.add_parser("recover", help="end what a crash left open; nothing where there is nothing")
    again.add_argument("--boot", action="store_true", help="start nothing: the target will")
    again.add_argument(
        "--after", metavar="INSTANCE", help="the transaction that has just ended, as systemd says how"
    )
    commands.add_parser("status", help="print what is in force and under way, as JSON")
    parsed = parser.parse_args(arguments)
    at = workplace(Layout(), Disk(), HostPrograms(), Report())
    match parsed.command:
        case "run":
            signal.signal(signal.SIGTERM, _cancel)
            signal.signal(signal.SIGINT, _cancel)
            return transact(at, parsed.instance)
        case "recover":
            # "exit-code": it ended by itself, and has said how.
            was_killed = os.environ.get("SERVICE_RESULT", "success") not in ("success", "exit-code")
            return recover(at, boot=parsed.boot, killed=parsed.after if was_killed else None)
        case _:
            return print_status(at.layout, at.generations)


def workplace(layout: Layout, disk: Disk, programs: Programs, report: Report) -> Workplace:
    """Put the pieces together."""
    return Workplace(layout, disk, programs, Services(programs), Generations(layout, disk), report)


def transact(at: Workplace, instance: str) -> int:
    """Run one transaction, after what a crash left open; returns its exit code."""
    result = Result(instance)
    who = f"transaction {instance}, process {os.getpid()}, since {at.programs.now()}"
    try:
        with lock.held(at.layout.lock, who):
            try:
                _recover(at, boot=False)
                run(at, instance, result)
            except (LabctlError, OSError) as problem:
                _refused(result, problem)
            _keep(at, result)
    except (LabctlError, OSError) as problem:  # Busy: the result file belongs to the one that runs
        _refused(result, problem)
    if result.error and result.outcome == "refused":
        at.report.line(f"refused: {result.error['message']}")
    result.ended_at = result.ended_at or at.programs.now()
    at.report.result(result)
    return result.exit_code


def recover(at: Workplace, *, boot: bool, killed: str | None = None) -> int:
    """End what a crash left open; returns 0 also when there was nothing, and when another transaction does it.

    Where it cannot be ended it stays open, and the last line says why. killed: a transaction that could not say itself
    how it ended.
    """
    try:
        with lock.held(at.layout.lock, f"recovery, process {os.getpid()}, since {at.programs.now()}"):
            try:
                result = _recover(at, boot=boot) or (_untouched(killed) if killed else None)
            except OSError as problem:
                result = _left_open(at, refused(problem))
            if result:
                _keep(at, result)
                at.report.result(result)
    except lock.Busy:
        return DONE
    except (LabctlError, OSError) as problem:
        at.report.line(f"recovery: {refused(problem) if isinstance(problem, OSError) else problem}")
        return FAILED
    return FAILED if result and result.outcome == "left for the next boot" else DONE


def _recover(at: Workplace, *, boot: bool) -> Result | None:
    state = load(at.layout)
    if state is None:
        at.disk.remove_tree(at.layout.open)  # of one that was killed before anything was touched
        at.generations.tidy()
        return None
    result = Result(state.transaction, previous=state.parent)
    if is_committed(at, state):
        close(at, state)
        result.outcome, result.generation = "done", state.target
        at.report.line(f"finished: generation {state.target}")
        return result
    cut = state.boot_id != at.layout.boot_id.read_text().strip()
    what = "the host went down" if cut else "its process was killed"
    result.failed(Failed(f"the transaction did not end: {what}", where=state.transaction, hint="apply again"))
    result.not_back = restore(at, state, start=not boot)
    result.outcome, result.generation = "rolled back", state.parent
    at.report.line(f"rolled back: generation {state.parent or 'none'}")
    return result


def _refused(result: Result, problem: LabctlError | OSError) -> None:
    if result.outcome == "refused":  # what is done is done, also when it is cancelled a moment later
        result.failed(refused(problem) if isinstance(problem, OSError) else problem)


def _left_open(at: Workplace, problem: Failed) -> Result:
    state = load(at.layout)
    result = Result(state.transaction if state else "recovery", generation=at.generations.current())
    result.failed(problem)
    if state:
        result.outcome = "left for the next boot"
    at.report.line(f"recovery: {problem}")
    return result


def _untouched(instance: str) -> Result:
    result = Result(instance)
    result.failed(
        Failed("its process was killed before it touched anything", where=instance, hint="apply again")
    )
    return result


def _keep(at: Workplace, result: Result) -> None:
    """As far as the disk takes it: how it ended is told in the journal, too."""
    result.ended_at = at.programs.now()
    content = (result.to_json() + "\n").encode()
    for place in (at.layout.result, at.layout.last_result):
        try:
            at.disk.folder(place.parent, 0o755)
            at.disk.write(place, content, 0o600)
        except OSError as problem:
            at.report.line(f"how it ended cannot be kept: {refused(problem)}")


def _cancel(_signal: int, _frame: FrameType | None) -> None:
    # Once: what it sets off, bringing back what was, is not to be cancelled.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Cancelled("the transaction was cancelled", where="labctl-transaction")
