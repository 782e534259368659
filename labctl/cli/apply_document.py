"""What `--json` prints of an apply or a rollback. Outside tools rely on it: only add keys. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from labctl.errors import SCHEMA_VERSION, LabctlError
from labctl.render.names import without_version

if TYPE_CHECKING:
    from labctl.cli.applied import HostRun


def applied_document(
    mode: str, runs: Sequence[HostRun], notes: Sequence[str], exit_code: int
) -> dict[str, object]:
    """Every key is always there; hosts by name."""
    return {
        "schema_version": SCHEMA_VERSION,
        "mode": mode,
        "hosts": {run.name: _host(run) for run in runs},
        "notes": list(notes),
        "exit_code": exit_code,
    }


def _host(run: HostRun) -> dict[str, object]:
    target = run.target
    before = (target.seen.status or {}).get("current")
    told = run.followed.document if run.followed else None
    return {
        "status": status_of(run),
        "generation": {"before": before, "after": told["generation"] if told else before},
        "changes": [asdict(each) for each in target.change.workloads],
        "untouched": list(target.change.untouched),
        "edited": list(target.change.edited),
        "foreign": list(target.change.foreign),
        "new_secrets": list(dict.fromkeys(map(without_version, target.new_secrets))),
        "renewed_secrets": [without_version(each.name) for each in target.renewed],
        "notes": list(target.notes),
        "refusals": [_error(each) for each in target.refusals],
        "result": dict(told) if told else None,
        "error": _error(run.problem) if run.problem else None,
    }


def status_of(run: HostRun) -> str:
    """The host's own word where it has one; unchanged, refused, not begun (for another host's refusal), lost."""
    if run.problem is not None:
        return "failed" if run.followed or run.begun is None else "lost"
    if run.followed is not None:
        return run.followed.outcome
    if run.target.refusals:
        return "refused"
    return "unchanged" if run.target.is_none else "not begun"


def _error(problem: LabctlError) -> object:
    return problem.to_json()["error"]
