"""A simulated host for models: true shell commands and the true program, below a folder of this machine.

Simulated are its user, and its systemd: a pull runs to its end before the command that starts it returns.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from labctl.edges.held_shell import COMMAND_SECONDS, Completed, HeldShell
from labctl.edges.host_models import HostModels
from labctl.edges.model_hosts import ModelHost
from labctl.edges.shell_streams import ProcessStreams

_SAYS = """#!/bin/sh
echo "$(basename "$0") $*" >>{root}/said
"""
_PROGRAMS = {
    "runuser": '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n',
    "useradd": _SAYS,
    "getent": "#!/bin/sh\nexit 2\n",
    "chown": _SAYS,
    "install": '#!/bin/sh\nfor last; do :; done; echo "install $*" >>{root}/said; exec mkdir -p "$last"\n',
    "systemctl": "#!/bin/sh\necho inactive\n",
    "systemd-run": """#!/usr/bin/python3
import os, subprocess, sys
at = sys.argv.index("/usr/bin/python3")
values = dict(each.split("=", 2)[1:] for each in sys.argv[:at] if each.startswith("--property="))
with open("{root}/said", "a") as said:
    said.write(" ".join(["systemd-run", *sys.argv[1:]]) + "\\n")
told = "{root}/run/" + values["RuntimeDirectory"]
os.makedirs(told)
if not os.path.exists("{root}/killed"):
    with open(values["StandardInput"].removeprefix("file:")) as request, open("{root}/journal", "a") as journal:
        environment = dict(os.environ, RUNTIME_DIRECTORY=told)
        subprocess.run(sys.argv[at:], stdin=request, stdout=journal, stderr=journal, env=environment)
""",
}


class SimulatedShell(HeldShell):
    """A shell on this machine, for which /run/labctl… and /var/lib/labctl lie below `root`. Not root's."""

    def __init__(self, root: Path) -> None:
        super().__init__("box", ProcessStreams, sudo=False, password=lambda: None)
        self._root = root
        for name, text in _PROGRAMS.items():
            path = root / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("{root}", str(root)))
            path.chmod(0o755)

    def run(self, command: str, timeout_s: float = COMMAND_SECONDS, *, stdin: str | None = None) -> Completed:
        """As the host would."""
        for folder in ("/run/labctl", "/var/lib/labctl"):
            command = command.replace(folder, f"{self._root}{folder}")
        path = shlex.quote(str(self._root / "bin"))
        return super().run(f"PATH={path}:$PATH; export PATH; {command}", timeout_s, stdin=stdin)


class SimulatedModelHost:
    """The host, and what was said to its system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "models"
        self.shell = SimulatedShell(root)
        self.models = HostModels("box", self.shell, str(self.folder))
        self.host = ModelHost("box", self.shell, self.models)

    @property
    def said(self) -> str:
        """Every call of a program that would change the system."""
        path = self.root / "said"
        return path.read_text() if path.exists() else ""

    def content(self, path: str) -> bytes | None:
        """Of a file in the folder of models."""
        at = self.folder / path
        return at.read_bytes() if at.is_file() else None

    def kill_pulls(self) -> None:
        """From now on every pull is killed before it says anything."""
        (self.root / "killed").touch()

    def put_in_force(self, plan: str, manifest: str) -> None:
        """As a transaction leaves it."""
        current = self.root / "var/lib/labctl/generations/current"
        current.mkdir(parents=True)
        (current / "plan.json").write_text(plan)
        (current / "manifest.json").write_text(manifest)
