"""The program: what systemd runs, and what labctl asks over SSH."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else [*arguments]
    # Python compiles what it imports of the one file each time: who only asks does not wait for what does the rest.
    if given == ["status"]:
        from labctl.transaction.disk import Disk
        from labctl.transaction.generations import Generations
        from labctl.transaction.layout import Layout
        from labctl.transaction.status import print_status

        layout = Layout()
        return print_status(layout, Generations(layout, Disk()))
    from labctl.transaction.commands import run_command

    return run_command(given)
