"""What would move, for a person to say yes or no to. Pure."""

from collections.abc import Iterator

from labctl.cli.report import HostReport, RunReport
from labctl.cli.summary import wrapped
from labctl.edges.events import HostFailed, Pending


def update_text(report: RunReport, width: int) -> str:
    """A block per host."""
    lines = [line for host in report.hosts.values() for line in _host(host, width)]
    lines += [line for note in report.notes for line in wrapped(f"! {note.message}", width, indent=0)]
    return "\n".join(lines) + "\n"


def _host(host: HostReport, width: int) -> Iterator[str]:
    yield from wrapped(f"{host.name}: {_headline(host)}", width, indent=0)
    for each in host.every(Pending):
        yield from wrapped(f"{each.name}: {each.reason}", width, indent=2)
    if failure := host.last(HostFailed):
        yield from wrapped(failure.message, width, indent=2)
        if failure.hint:
            yield from wrapped(failure.hint, width, indent=4)


def _headline(host: HostReport) -> str:
    match host.status:
        case "changes pending":
            return "would move"
        case "ok":
            return (
                "up to date" if host.operation_count else "a container, whose kernel is not its own to move"
            )
        case _:
            return "cannot be moved" if host.last(HostFailed) else "not finished"
