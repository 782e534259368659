"""What `labctl doctor --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from labctl.cli.document import error_of, run_document
from labctl.cli.report import HostReport, RunReport
from labctl.edges.events import Note, Verified


def doctor_document(report: RunReport) -> dict[str, object]:
    """One JSON document. Every key is always there; cause and fix are null where nothing failed or nobody knows."""
    return run_document(report, _host)


def _host(host: HostReport) -> dict[str, object]:
    return {
        "status": host.status,
        "checks": [_check(host, each) for each in host.every(Verified)],
        "notes": [note.message for note in host.every(Note)],
        "error": error_of(host),
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
