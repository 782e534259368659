"""What a person reads when a run is over. Pure: a report in, text out; narrow enough for a phone."""

import shlex
import textwrap
from collections.abc import Iterator

from labctl.cli.options import DEFAULT_INVENTORY
from labctl.cli.report import HostReport, RunReport
from labctl.edges.events import HostFailed, Mode, Note, OperationFinished, Pending, Verified

STOPPED_AT = {"connect": "not reached", "prepare": "not deployable", "execute": "stopped"}
_CAUSES = {
    "drift": "drift: the host was changed since the last deploy",
    "news": "news: the repository or the inventory was changed",
    "possible": "possible: it depends on what the others bring",
}


def summary(report: RunReport, *, inventory: str, width: int) -> str:
    """One block per host, those that failed last, right above the prompt; then what to do next."""
    hosts = sorted(report.hosts.values(), key=lambda host: host.status == "failed")
    lines = [line for host in hosts for line in (*_host(host, report.mode, width), "")]
    for text in (
        *(f"! {note.message}" for note in report.notes),
        *_legend(hosts),
        _next_step(report, inventory),
    ):
        lines += wrapped(text, width, indent=0)
    return "\n".join(lines) + "\n"


def qualified(role: str, name: str) -> str:
    """`role: name`, once; most operations are already named so."""
    return name if name.startswith(f"{role}: ") else f"{role}: {name}"


def _host(host: HostReport, mode: Mode, width: int) -> Iterator[str]:
    yield from wrapped(f"{host.name}: {_headline(host, mode)}", width, indent=0)
    for operation in host.operations("changed"):
        yield from _item(operation.role, operation.name, operation.reason, width)
    for pending in host.every(Pending):
        yield from _item(pending.role, pending.name, _why(pending), width)
    yield from _checks(host, width)
    for note in host.every(Note):
        yield from wrapped(f"! {note.message}", width, indent=2)
    for failed in host.failed:
        yield from _failed(failed, width)
    if failure := host.last(HostFailed):
        yield from _stopped(failure, width)


def _headline(host: HostReport, mode: Mode) -> str:
    if host.status == "unfinished":
        return "not finished"
    if mode == "check":
        pending = len(host.every(Pending))
        if host.status == "failed":
            return "FAILED"
        return f"{pending} of {host.operation_count} pending" if pending else "as it should be"
    counts = (
        (len(host.operations("changed")), "changed"),
        (len(host.operations("unchanged")), "unchanged"),
        (len(host.checks("passed")), "passed"),
        (len(host.checks("not run here")), "not run here"),
        (len(host.failed), "FAILED"),
    )
    return ", ".join(f"{count} {word}" for count, word in counts if count) or "FAILED"


def _why(pending: Pending) -> str:
    cause = pending.cause if pending.certainty == "certain" else f"possible {pending.cause}"
    return _joined(cause, pending.reason)


def _checks(host: HostReport, width: int) -> Iterator[str]:
    """A line per check, by role. Those that failed are not here: they come last, right above the prompt."""
    for role in dict.fromkeys(check.role for check in host.every(Verified)):
        checks = [check for check in host.every(Verified) if check.role == role and check.status != "failed"]
        if checks:
            yield f"  {role}"
        for check in checks:
            verdict = "ok" if check.status == "passed" else check.status
            yield from wrapped(_joined(f"{verdict}: {check.name}", check.reason), width, indent=4)


def _failed(failed: OperationFinished | Verified, width: int) -> Iterator[str]:
    yield from _item(failed.role, failed.name, _joined("FAILED", failed.reason), width)
    for line in failed.output:
        yield f"    | {line}"  # as the program printed it: wrapping would break what a person searches for


def _stopped(failure: HostFailed, width: int) -> Iterator[str]:
    yield from wrapped(f"{STOPPED_AT[failure.stage]}: {failure.message}", width, indent=2)
    if failure.hint:
        yield from wrapped(failure.hint, width, indent=4)


def _item(role: str, name: str, detail: str | None, width: int) -> Iterator[str]:
    yield from wrapped(f"- {qualified(role, name)}", width, indent=2)
    if detail:
        yield from wrapped(detail, width, indent=4)


def _joined(first: str, second: str | None) -> str:
    return f"{first}: {second}" if second else first


def _legend(hosts: list[HostReport]) -> list[str]:
    """The words that check used, explained to whoever has not met them."""
    pending = [each for host in hosts for each in host.every(Pending)]
    used = {each.cause for each in pending} | {each.certainty for each in pending}
    return [text for word, text in _CAUSES.items() if word in used]


def _next_step(report: RunReport, inventory: str) -> str:
    argument = "" if inventory == DEFAULT_INVENTORY else f" {shlex.quote(inventory)}"
    steps: dict[tuple[Mode, int], str] = {
        ("deploy", 0): f"Done. Next: labctl verify{argument}",
        ("update", 0): _moved(report, argument),
        ("check", 0): "Nothing to change.",
        ("check", 3): f"Next: labctl deploy{argument}",
        ("verify", 0): _all_passed(report),
        ("verify", 3): f"Next: labctl check{argument}",
    }
    again = f"labctl {'update host' if report.mode == 'update' else report.mode}{argument}"
    return steps.get((report.mode, report.exit_code), f"Mend what is named above, then run again: {again}")


def _moved(report: RunReport, argument: str) -> str:
    changed = any(host.operations("changed") for host in report.hosts.values())
    return f"Done. Next: labctl verify{argument}" if changed else "Kernel and driver are up to date."


def _all_passed(report: RunReport) -> str:
    left = sum(len(host.checks("not run here")) for host in report.hosts.values())
    return f"All checks passed but {left} that cannot be run here." if left else "All checks passed."


def wrapped(text: str, width: int, *, indent: int) -> list[str]:
    """The text in lines of that width; those after the first stand two columns further in."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
