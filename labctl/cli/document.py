"""What `--json` prints of a deploy, check, verify or doctor. Outside tools rely on it: only add keys. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import asdict

from labctl.cli.report import HostReport, RunReport
from labctl.edges.events import (
    HostEvent,
    HostFailed,
    HostPlanned,
    Note,
    OperationFinished,
    Pending,
    Verified,
)
from labctl.errors import SCHEMA_VERSION


def run_document(
    report: RunReport, of_host: Callable[[HostReport], dict[str, object]] | None = None
) -> dict[str, object]:
    """The run as one JSON document. Every key is always there; lists are in the order things happened.

    of_host: what it says of a host, where that is not the operations and checks as they were reported.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "mode": report.mode,
        "hosts": {name: (of_host or _host)(host) for name, host in report.hosts.items()},
        "notes": [note.message for note in report.notes],
        "exit_code": report.exit_code,
    }


def _host(host: HostReport) -> dict[str, object]:
    planned = host.last(HostPlanned)
    return {
        "status": host.status,
        "roles": list(planned.roles) if planned else [],
        "changed": len(host.operations("changed")),
        "unchanged": len(host.operations("unchanged")),
        "failed": len(host.failed),
        "remote_commands": host.end.remote_commands if host.end else None,
        "operations": _without_host(host.every(OperationFinished)),
        "pending": _without_host(host.every(Pending)),
        "checks": _without_host(host.every(Verified)),
        "notes": _without_host(host.every(Note)),
        "error": error_of(host),
    }


def error_of(host: HostReport) -> dict[str, object] | None:
    """Why nothing more happened on a host; None where everything did."""
    failure = host.last(HostFailed)
    return _without_host([failure])[0] if failure else None


def _without_host(events: Iterable[HostEvent]) -> list[dict[str, object]]:
    return [{key: value for key, value in asdict(event).items() if key != "host"} for event in events]
