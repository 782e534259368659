"""Runs checks over a shell of this machine, in a process of their own: pytest inside pytest would share its state."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labctl.edges import events
from labctl.edges.events import Event, Verified
from labctl.edges.forked import in_processes
from labctl.edges.held_shell import HeldShell
from labctl.edges.shell_streams import ProcessStreams
from labctl.edges.testinfra_backend import testinfra_host
from labctl.edges.verify_plugin import RoleChecks, VerifyPlugin, run_checks
from tests.roles.host_facts import host_facts


@dataclass(frozen=True)
class Outcome:
    """What was reported, and why checks could not be run, if they could not."""

    events: list[Event]
    problem: str | None

    def verified(self, role: str = "mine") -> dict[str, Verified]:
        """The verdicts of a role's checks by their names, in order."""
        found = [event for event in self.events if isinstance(event, Verified) and event.role == role]
        assert len({event.name for event in found}) == len(found), "a check was reported twice"
        return {event.name: event for event in found}

    @property
    def statuses(self) -> dict[str, str]:
        """Name to verdict of the role `mine`."""
        return {name: event.status for name, event in self.verified().items()}


def verify_here(*folders: Path, **environment: str) -> list[Outcome]:
    """Run roles/NAME/checks.py under each folder, in the alphabetic order of NAME; settings are {"role": NAME}.

    One process imports everything and forks for each folder, as a verification of several hosts does.
    """
    done = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, folders)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folders[0],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
    )
    assert done.returncode == 0, done.stderr
    return [_outcome(folder) for folder in folders]


def _outcome(folder: Path) -> Outcome:
    *lines, last = (folder / "events.jsonl").read_text().splitlines()
    return Outcome([events.parse(line) for line in lines], json.loads(last))


def _verify(folder: str) -> int:
    roles = tuple(
        RoleChecks(path.parent.name, path, {"role": path.parent.name})
        for path in sorted(Path(folder).glob("roles/*/checks.py"))
    )
    shell = HeldShell("here", ProcessStreams, sudo=False, password=lambda: None)
    with Path(folder, "events.jsonl").open("w") as stream:
        host = testinfra_host("here", shell)
        plugin = VerifyPlugin(
            host, host_facts(), roles, lambda event: print(events.to_json(event), file=stream)
        )
        run_checks(roles, plugin)
        print(json.dumps(plugin.problem and str(plugin.problem)), file=stream)
    shell.close()
    return 0


if __name__ == "__main__":
    sys.exit(any(in_processes(sys.argv[1:], _verify).values()))
