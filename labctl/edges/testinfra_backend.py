"""testinfra over a held shell."""

from __future__ import annotations

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from labctl.edges.held_shell import HeldShell


class HeldShellBackend(BaseBackend):
    """Every command of testinfra's is one round trip, as root, over a connection that already stands."""

    NAME = "labctl"

    def __init__(self, hostname: str, shell: HeldShell) -> None:
        super().__init__(hostname)
        self._shell = shell
        self._encoding = "utf-8"  # testinfra would ask the host's Python for it

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Run `command` with `args` quoted into it."""
        text = self.get_command(command, *args)
        done = self._shell.run(text)
        return self.result(done.exit_status, text.encode(), done.stdout, done.stderr)


def testinfra_host(hostname: str, shell: HeldShell) -> Host:
    """testinfra's host object for what `shell` reaches."""
    backend = HeldShellBackend(hostname, shell)
    host = Host(backend)
    backend.set_host(host)
    return host
