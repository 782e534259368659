"""What becomes of a host, before and after, for a tired person. Pure, within 80 columns."""

from collections.abc import Callable, Iterator

from labctl.apply.words import what_becomes
from labctl.cli.plan_words import wrapped
from labctl.edges.applying import Target
from labctl.edges.host_transactions import Followed
from labctl.errors import LabctlError
from labctl.render.names import without_version

_SIGNS = {"added": "+", "changed": "~", "removed": "-", "started": "~", "quiet": "~"}
_NAME = 12


def target_text(host: str, target: Target, told: Callable[[str], str] = str) -> str:
    """One host: what would change, what would not, and what keeps it from beginning.

    told: puts names for cards.
    """
    return "\n".join(_target(host, target, told)) + "\n"


def _target(host: str, target: Target, told: Callable[[str], str]) -> Iterator[str]:
    change = target.change
    if target.refusals:
        yield f"{host}: cannot be done"
        for refusal in target.refusals:
            yield from wrapped(told(f"! {refusal}"), "  ")
        return
    if target.is_none:
        yield from wrapped(f"{host}: nothing to change, {_count(len(change.untouched))}")
        return
    yield f"{host}:"
    yield from _workloads(target, told)
    yield from _beside(target)


def _workloads(target: Target, told: Callable[[str], str]) -> Iterator[str]:
    change = target.change
    for each in change.workloads:
        yield from wrapped(
            f"{_SIGNS[each.kind]} {each.workload:{_NAME}} {told(what_becomes(each))}", "  ", " " * (_NAME + 5)
        )
    if change.untouched:
        yield from wrapped(f"= not touched: {', '.join(change.untouched)}", "  ")
    if not change.workloads and change.other_plan:
        yield "  the plan is another, what runs stays as it is"


def _beside(target: Target) -> Iterator[str]:
    change = target.change
    if target.new_secrets:
        names = dict.fromkeys(map(without_version, target.new_secrets))
        yield from wrapped(f"secrets made: {', '.join(names)}", "  ")
    if change.edited:
        files = ", ".join(change.edited)
        yield from wrapped(f"! edited by hand, put right, a copy is kept: {files}", "  ")
    if change.foreign:
        yield from wrapped(f"! not ours, left alone: {', '.join(change.foreign)}", "  ")
    for note in target.notes:
        yield from wrapped(f"note: {note}", "  ")


def _count(number: int) -> str:
    return "1 workload as planned" if number == 1 else f"{number} workloads as planned"


def ended_text(host: str, followed: Followed | None, problem: LabctlError | None) -> str:
    """How it ended."""
    return "\n".join(_ended(host, followed, problem))


def _ended(host: str, followed: Followed | None, problem: LabctlError | None) -> Iterator[str]:
    if followed is not None:
        yield from _of_host(host, followed)
    if problem is not None:
        yield from wrapped(f"{host}: {problem}")


def _of_host(host: str, followed: Followed) -> Iterator[str]:
    told = followed.document
    now = f"generation {told['generation']}" if told["generation"] else "nothing"
    match followed.outcome:
        case "done" | "unchanged":
            yield f"{host}: done, {now} is in force"
        case "refused":
            yield f"{host}: refused; nothing was touched"
        case "rolled back":
            yield f"{host}: FAILED; what ran before is back: {now}"
        case _:
            yield f"{host}: FAILED; the host puts it right when it boots"
    error = told["error"]
    if error:
        where = f"{error['where']}: " if error["where"] else ""
        found = f" ({error['found']})" if error["found"] else ""
        yield from wrapped(f"{where}{error['message']}{found}", "  ")
    for line in told["log"]:
        # As the program wrote it: wrapping would break what a person searches for.
        yield f"  | {line}"
    if error and error["hint"]:
        yield from wrapped(f"next: {error['hint']}", "  ")
    if told["not_back"]:
        yield from wrapped(f"! did not come back: {', '.join(told['not_back'])}", "  ")
    if told["kept"]:
        yield from wrapped(f"edited files are kept in {told['kept']}", "  ")
