"""What `labctl doctor --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.cli.report import HostReport, RunReport
from labctl.edges.events import HostFailed, Note, Verified
from labctl.errors import SCHEMA_VERSION


def doctor_document(report: RunReport) -> dict[str, object]:
    """One JSON document. Every key is always there; cause and fix are null where nothing failed or nobody knows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mode": report.mode,
        "hosts": {name: _host(host) for name, host in report.hosts.items()},
        "notes": [note.message for note in report.notes],
        "exit_code": report.exit_code,
    }


def _host(host: HostReport) -> dict[str, object]:
    failure = host.last(HostFailed)
    return {
        "status": host.status,
        "checks": [_check(host, each) for each in host.every(Verified)],
        "notes": [note.message for note in host.every(Note)],
        "error": {key: value for key, value in asdict(failure).items() if key != "host"} if failure else None,
    }


def _check(host: HostReport, check: Verified) -> dict[str, object]:
    why = host.explained(check)
    return {
        "role": check.role,
        "check": check.name,
        "outcome": check.status,
        "message": check.reason,
        "cause": why.cause if why else None,
        "fix": why.fix if why else None,
    }
