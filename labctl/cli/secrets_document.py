"""What `labctl secrets --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from collections.abc import Mapping, Sequence

from labctl.cli.secrets_rows import Row
from labctl.errors import SCHEMA_VERSION


def secrets_document(
    hosts: Mapping[str, Sequence[Row]], problems: Mapping[str, str], exit_code: int
) -> dict[str, object]:
    """Every host's secrets without their values. Every key is always there; null is what nobody knows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "hosts": {name: {"secrets": [_row(each) for each in found]} for name, found in hosts.items()},
        "problems": dict(problems),
        "exit_code": exit_code,
    }


def _row(row: Row) -> dict[str, object]:
    known, there = row.known, row.there
    return {
        "name": row.name,
        "workload": row.workload,
        "service": known.service if known else None,
        "what": known.what if known else None,
        "made": row.made,
        "there": there is not None,
        "created_at": there.created_at.isoformat() if there else None,
        "updated_at": there.updated_at.isoformat() if there else None,
        "changed_by": known.changed_by if known else None,
        "procedure": known.procedure if known else None,
        "units": list(row.units),
        "units_with_the_old_value": list(row.older),
    }
