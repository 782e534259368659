"""A generation of services as it lies on a host, or as it is to be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.transaction.manifest import ManagedUnit, Manifest

_WORKLOAD = re.compile(rb"^# Written by labctl for the workload ([a-z0-9-]+)[.,]")


@dataclass(frozen=True)
class Generation:
    """files: content by staged path, the plan among them."""

    manifest: Manifest
    files: Mapping[str, bytes]

    def workload(self, unit: ManagedUnit) -> str:
        """Whose unit it is, as its file says; the unit's own name where it says nothing."""
        found = _WORKLOAD.match(self.files.get(unit.files[0], b""))
        return found[1].decode() if found else unit.name

    def text(self, path: str) -> str:
        """A file; "" where there is none."""
        return self.files.get(path, b"").decode("utf-8", "replace")
