"""A plan's file as it is, and which hosts it names, before anything is made of it: this imports next to nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import SCHEMA_VERSION, BadInput

MOST_BYTES = 16 * 1024 * 1024
"""As in `labctl.plan.plan_json`, which takes a while to import."""


@dataclass(frozen=True)
class HostsNamed:
    """planned: hosts of the plan's rig. placed: those of them that run something."""

    planned: tuple[str, ...]
    placed: frozenset[str]


def plan_content(path: str) -> bytes:
    """What is in the file, up to one byte more than a plan may have. Raises BadInput."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            "the plan cannot be read",
            where=path,
            found=error.strerror,
            hint="`labctl place WORKLOADS --out plan.json` writes one",
        ) from error


def hosts_named(content: bytes) -> HostsNamed | None:
    """By what looks like a plan that can be applied; None for all else. It may still not be one."""
    try:
        document = json.loads(content)
        if document["schema_version"] != SCHEMA_VERSION or document["rig"]["bound"] is not True:
            return None
        planned = tuple(host["name"] for host in document["rig"]["hosts"])
        placed = {workload["host"] for workload in document["workloads"].values()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    if not all(isinstance(name, str) for name in (*planned, *placed)):
        return None
    return HostsNamed(planned, frozenset(placed))
