"""A benchmark that measures on throwaway hosts, as a command."""

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from labctl.errors import DONE, INTERRUPTED, LabctlError
from tests.host.hosts import ThrowawayHosts


def on_hosts(measure: Callable[[ThrowawayHosts, Path], object]) -> int:
    """Measure, and say what went wrong; returns the exit code. The folder is gone afterwards, and so are the hosts."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # each result when it is there, also into a pipe
    try:
        with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder, ThrowawayHosts() as hosts:
            measure(hosts, Path(folder))
    except LabctlError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE
