"""A simulated `podman secret` and `systemctl show`, for the program that runs on a host: files of a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.edges import podman_secrets
from labctl.edges.held_shell import COMMAND_SECONDS, Completed, HeldShell

# As containers/common v0.57 (Podman 4.9): --replace of what is not there is an error. Every start is written down.
_PODMAN = """#!{python} -IS
import json, sys
from pathlib import Path
folder = Path({folder!r})
given = sys.stdin.buffer.read()
with (folder / "started").open("a") as log:
    log.write(" ".join(sys.argv) + "\\n")
state = folder / "secrets.json"
secrets = json.loads(state.read_text())
*words, = sys.argv[1:]
def fail(text):
    sys.exit("Error: " + text)
if (folder / "broken").exists():
    fail("no space left on device")
if words[:2] == ["secret", "ls"]:
    hidden = folder / "hidden once"  # what somebody else makes a moment later
    for name in () if hidden.exists() else secrets:
        print(name)
    hidden.unlink(missing_ok=True)
elif words[:2] == ["secret", "inspect"]:
    names = words[words.index("--") + 1:]
    if "--showsecret" in words:
        sys.stdout.buffer.write(bytes.fromhex(secrets[names[0]]["value"]) + b"\\n")
    else:
        told = [{{
            "CreatedAt": secrets[name]["created"],
            "UpdatedAt": secrets[name]["updated"],
            "Spec": {{"Name": name, "Driver": {{"Name": "file"}}, "Labels": secrets[name]["labels"]}},
        }} for name in names]
        print(json.dumps(told))
elif words[:2] == ["secret", "create"]:
    name, dash = words[words.index("--") + 1:]
    assert dash == "-", words
    labels = dict(text.split("=", 1) for flag, text in zip(words, words[1:]) if flag == "--label")
    if "--replace" in words and name not in secrets:
        fail("deleting secret : no such secret")
    if "--replace" not in words and name in secrets:
        fail(name + ": secret name in use")
    if not 0 < len(given) < 512000:
        fail("secret data must be larger than 0 and less than 512000 bytes")
    now = "2026-11-21T17:00:%02d.123456789Z" % len((folder / "started").read_text().splitlines())
    before = secrets.get(name, {{"created": now}})
    secrets[name] = {{"value": given.hex(), "labels": labels, "created": before["created"], "updated": now}}
    state.write_text(json.dumps(secrets))
    left = folder / "kill after"
    if left.exists() and len(secrets) == int(left.read_text()):
        import os, signal
        os.kill(os.getppid(), signal.SIGKILL)
else:
    fail("not simulated: " + " ".join(words))
"""
_SYSTEMCTL = """#!/bin/sh
for unit; do :; done
cat "{folder}/$unit" 2>/dev/null || printf 'ActiveState=inactive\\nInactiveExitTimestamp=\\n'
"""


@dataclass
class SimulatedPodman:
    """The host's state below `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        for name, text in (("podman", _PODMAN), ("systemctl", _SYSTEMCTL)):
            (programs / name).write_text(text.format(python=sys.executable, folder=str(self.folder)))
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

    def shell(self) -> SimulatedShell:
        """A root shell of this host."""
        return SimulatedShell(self)


class SimulatedShell(HeldShell):
    """Runs each command here, in a process of its own, with the simulated programs and places."""

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

    def close(self) -> None:
        """There is nothing to end."""
