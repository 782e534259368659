"""What `--json` prints for a deploy, check or verify. Outside tools rely on it: add keys, never change them. Pure."""

from collections.abc import Iterable
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


def run_document(report: RunReport) -> dict[str, object]:
    """The run as one JSON document. Every key is always there; lists are in the order things happened."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mode": report.mode,
        "hosts": {name: _host(host) for name, host in report.hosts.items()},
        "notes": [note.message for note in report.notes],
        "exit_code": report.exit_code,
    }


def _host(host: HostReport) -> dict[str, object]:
    planned, failure = host.last(HostPlanned), host.last(HostFailed)
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
        "error": _without_host([failure])[0] if failure else None,
    }


def _without_host(events: Iterable[HostEvent]) -> list[dict[str, object]]:
    return [{key: value for key, value in asdict(event).items() if key != "host"} for event in events]
