"""What `labctl doctor` prints for people: the causes, each with its fix and the checks that show it. Pure."""

import re
import shlex
import textwrap
from collections.abc import Iterator

from labctl.cli.options import DEFAULT_INVENTORY
from labctl.cli.report import HostReport, RunReport
from labctl.cli.summary import STOPPED_AT
from labctl.edges.events import HostFailed, Note, Verified

_GLUE = "\N{NO-BREAK SPACE}"
_UNEXPLAINED = ("Nobody has written down why this fails; what was found says it alone.", "")


def doctor_text(report: RunReport, *, inventory: str, width: int, all_of_it: bool = False) -> str:
    """A line where all is well; else a block for each host, those that failed last, and what to do then.

    all_of_it: what cannot be checked on a host, too, with the reason, though nothing is wrong there.
    """
    hosts = sorted(report.hosts.values(), key=lambda host: host.status == "failed")
    lines: list[str] = []
    if report.exit_code == 0:
        lines += _wrapped(_all_well(report), width)
        if all_of_it:
            lines += [line for host in hosts for line in _not_run(host, width)]
    else:
        for host in hosts:
            lines += [*_host(host, width), ""]
    for note in report.notes:
        lines += _wrapped(f"! {note.message}", width)
    if report.exit_code != 0:
        argument = "" if inventory == DEFAULT_INVENTORY else f" {shlex.quote(inventory)}"
        lines += _wrapped(f"Then look again: labctl doctor{argument}", width)
    return "\n".join(lines) + "\n"


def _all_well(report: RunReport) -> str:
    passed = sum(len(host.checks("passed")) for host in report.hosts.values())
    left = sum(len(host.checks("not run here")) for host in report.hosts.values())
    out = f"; {left} cannot be run here (-v says why)" if left else ""
    return f"All well on {', '.join(report.hosts)}: {_counted(passed)} passed{out}."


def _host(host: HostReport, width: int) -> Iterator[str]:
    failed, stopped = host.checks("failed"), host.last(HostFailed)
    done = len(failed) + len(host.checks("passed"))
    if stopped:
        yield from _wrapped(f"{host.name}: {STOPPED_AT[stopped.stage]}: {stopped.message}", width)
        if stopped.hint:
            yield from _wrapped(f"Fix: {_sentence(stopped.hint)}", width, "   ", "        ")
    elif host.status == "unfinished":
        yield f"{host.name}: not finished"
    elif failed:
        yield f"{host.name}: {len(failed)} of {_counted(done)} failed"
    else:
        yield f"{host.name}: all well, {_counted(done)} passed"
    for note in host.every(Note):
        yield from _wrapped(f"! {note.message}", width)
    for number, ((cause, fix), checks) in enumerate(_by_cause(host).items(), 1):
        yield ""
        yield from _wrapped(cause, width, f"{number}. ", "   ")
        if fix:
            yield from _wrapped(fix, width, "   Fix: ", "        ")
        for check in checks:
            yield from _wrapped(f"{check.role}: {check.name}", width, "   - ", "     ")
            yield from _wrapped(f"{check.reason}", width, "     ", "     ")
    if lines := list(_not_run(host, width)):
        yield ""
        yield from lines


def _by_cause(host: HostReport) -> dict[tuple[str, str], list[Verified]]:
    """What failed, in the order it did; one cause often shows in many checks."""
    found: dict[tuple[str, str], list[Verified]] = {}
    for check in host.checks("failed"):
        why = host.explained(check)
        found.setdefault((why.cause, why.fix) if why else _UNEXPLAINED, []).append(check)
    return found


def _not_run(host: HostReport, width: int) -> Iterator[str]:
    """The checks that mean nothing on this host, by the reason."""
    reasons: dict[str, dict[str, int]] = {}
    for check in host.checks("not run here"):
        roles = reasons.setdefault(check.reason or "no reason given", {})
        roles[check.role] = roles.get(check.role, 0) + 1
    if reasons:
        yield f"Not run on {host.name}:"
    for reason, roles in reasons.items():
        counted = ", ".join(f"{count} of {role}" for role, count in roles.items())
        yield from _wrapped(f"{reason}: {counted}", width, "   ", "     ")


def _counted(checks: int) -> str:
    return f"{checks} check" if checks == 1 else f"{checks} checks"


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:] + ("" if clause.endswith(".") else ".")


def _wrapped(text: str, width: int, first: str = "", then: str = "  ") -> list[str]:
    """Lines; a command in backticks that has room on one line is not broken: people copy it."""
    room = width - len(then)
    whole = re.sub(
        r"`[^`]+`\S?", lambda found: found[0].replace(" ", _GLUE) if len(found[0]) <= room else found[0], text
    )
    lines = textwrap.wrap(
        whole,
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]
