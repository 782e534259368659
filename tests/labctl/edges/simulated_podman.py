"""A host with a simulated `podman secret` and `systemctl show`, and root shells on it. The host is a folder."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from labctl.edges import podman_secrets
from labctl.edges.held_shell import COMMAND_SECONDS, Completed, HeldShell
from tests.labctl.edges import simulated_podman_program
from tests.labctl.edges.simulated_podman_program import Refused, answered

_PODMAN = '#!/bin/sh\nexec {python} -IS {program} {folder} "$@"\n'
_SYSTEMCTL = (
    '#!/bin/sh\nfor unit; do :; done\ncat {folder}/"$unit" 2>/dev/null || echo ActiveState=inactive\n'
)


@dataclass
class SimulatedPodman:
    """The host's state below `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        places = {
            "python": sys.executable,
            "program": shlex.quote(str(simulated_podman_program.__file__)),
            "folder": shlex.quote(str(self.folder)),
        }
        for name, text in (("podman", _PODMAN), ("systemctl", _SYSTEMCTL)):
            (programs / name).write_text(text.format(**places))
            (programs / name).chmod(0o755)
        (self.folder / "started").touch()
        (self.folder / "secrets.json").write_text("{}")
        (self.folder / "units").mkdir()

    @property
    def secrets(self) -> dict[str, Any]:
        """value in hexadecimal, labels, created and updated, by name."""
        return dict(json.loads((self.folder / "secrets.json").read_text()))

    def value(self, name: str) -> bytes:
        """Of one secret."""
        return bytes.fromhex(self.secrets[name]["value"])

    def started(self) -> list[str]:
        """Command lines of Podman so far."""
        return (self.folder / "started").read_text().splitlines()

    def run(self, *command: str, given: bytes | None = None) -> bytes:
        """A program of the host, without a process."""
        if command[0] == "podman":
            try:
                return answered(self.folder, list(command[1:]), given or b"")
            except Refused as problem:
                raise podman_secrets.PodmanSays(str(problem)) from None
        shown = self.folder / command[-1]
        return shown.read_bytes() if shown.exists() else b"ActiveState=inactive\n"

    def shell(self) -> HeldShell:
        """A root shell that runs the host's program here: fast."""
        return _ShellWithin(self)

    def shell_of_processes(self) -> ShellOfProcesses:
        """A root shell that starts it, as a host does, with programs that can be watched and killed."""
        return ShellOfProcesses(self)


class _ShellWithin(HeldShell):
    def __init__(self, podman: SimulatedPodman) -> None:
        self._podman = podman

    def run(self, command: str, timeout_s: float = COMMAND_SECONDS, *, stdin: str | None = None) -> Completed:
        """As the real one, for the one program."""
        assert command.startswith("python3 -I -c "), command
        out, folder = io.StringIO(), self._podman.folder
        there: dict[str, Any] = {
            "_run": self._podman.run,
            "UNITS": folder / "units",
            "PLAN": folder / "plan.json",
            "LIBRARY": folder / "library",
        }
        with (
            patch.multiple(podman_secrets, **there),
            patch("sys.stdin", io.StringIO(f"{stdin}\n")),
            patch("sys.stdout", out),
        ):
            podman_secrets.main()
        return Completed(0, out.getvalue().encode(), b"")


class ShellOfProcesses(HeldShell):
    """Runs each command in a process of its own. ran: the commands."""

    def __init__(self, podman: SimulatedPodman) -> None:
        self._podman = podman
        self.ran: list[str] = []

    def run(self, command: str, timeout_s: float = COMMAND_SECONDS, *, stdin: str | None = None) -> Completed:
        """As the real one; what the host's program looks for in folders of the host is below the simulated one's."""
        self.ran.append(command)
        folder = self._podman.folder
        for path, instead in (
            (podman_secrets.UNITS, folder / "units"),
            (podman_secrets.PLAN, folder / "plan.json"),
            (podman_secrets.LIBRARY, folder / "library"),
        ):
            command = command.replace(str(path), str(instead))
        done = subprocess.run(
            ["sh", "-c", command.replace("python3", f"{sys.executable} -S", 1)],
            input=b"" if stdin is None else f"{stdin}\n".encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        )
        return Completed(done.returncode, done.stdout, done.stderr)
