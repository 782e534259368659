"""What is asked of the driver process."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from labctl.edges.bundle import deploy_file

if TYPE_CHECKING:
    from labctl.edges import events


@dataclasses.dataclass(frozen=True)
class DeployRequest:
    """What to do; all but `mode`, `deploy_file` and `script` as on the command line. script: what a read runs."""

    mode: events.Mode
    inventory: str
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    verbosity: int = 0
    script: str = ""
    deploy_file: str = dataclasses.field(default_factory=lambda: str(deploy_file("gpu_host.py")))

    def to_json(self) -> str:
        """For the driver, over a pipe."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> DeployRequest:
        """The inverse of `to_json`."""
        values = json.loads(text)
        for key in ("only", "skip", "limit"):
            values[key] = tuple(values[key])
        values["data"] = tuple((key, value) for key, value in values["data"])
        return cls(**values)
