"""Verifications of whole projects, each in a process forked from one that has imported everything."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from labctl.edges import events
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.events import Event, Mode
from labctl.edges.forked import in_processes
from labctl.edges.pyinfra_driver import perform


@dataclasses.dataclass(frozen=True)
class Project:
    """A folder with inventory.py and deploy/box.py."""

    folder: Path
    limit: tuple[str, ...] = ()
    mode: Mode = "verify"

    @property
    def request(self) -> DeployRequest:
        """Verify all of it."""
        return DeployRequest(
            self.mode,
            str(self.folder / "inventory.py"),
            limit=self.limit,
            deploy_file=str(self.folder / "deploy" / "box.py"),
        )


def verify_all(*projects: Project, **environment: str) -> list[list[Event]]:
    """The events of each project's verification."""
    requests = {str(project.folder): project.request.to_json() for project in projects}
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(requests),
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    lines = [(project.folder / "events.jsonl").read_text().splitlines() for project in projects]
    return [[events.parse(line) for line in each] for each in lines]


def main() -> int:
    """The process that has imported everything."""
    import pyinfra_cli  # noqa: F401 - patches the standard library before paramiko is imported

    import labctl.edges.verify_plugin
    import labctl.edges.verify_run  # noqa: F401 - before the fork

    requests = json.load(sys.stdin)

    def verify(folder: str) -> int:
        os.chdir(folder)
        with open("events.jsonl", "w") as stream:  # noqa: PTH123 - the folder is the current one
            perform(DeployRequest.from_json(requests[folder]), stream)
        return 0

    return int(any(in_processes(requests, verify).values()))


if __name__ == "__main__":
    sys.exit(main())
