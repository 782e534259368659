"""One deploy or check, run through pyinfra's API in a process of its own; writes events to a file descriptor.

A process of its own because pyinfra patches the standard library for gevent when it is imported, and because killing
the client must be an ordinary thing. Plain `pyinfra INVENTORY deploy/gpu_host.py` runs the same deploy file; what this
adds is per-host failure instead of whole-fleet failure, exit codes that tell the truth, and a check that knows why.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from labctl.edges.patched_library import import_pyinfra

if TYPE_CHECKING:
    from labctl.edges.deploy_request import DeployRequest


def main(argv: list[str] | None = None) -> int:
    """Run the request that waits as JSON in a pipe; returns the exit code of the run."""
    parser = argparse.ArgumentParser(prog="labctl.edges.pyinfra_driver")
    parser.add_argument("--events-fd", type=int, required=True)
    parser.add_argument("--request-fd", type=int, required=True)
    arguments = parser.parse_args(argv)

    from labctl.edges.deploy_request import DeployRequest

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent reports the interruption
    with os.fdopen(arguments.request_fd, encoding="utf-8") as pipe:
        request = DeployRequest.from_json(pipe.read())
    with os.fdopen(arguments.events_fd, "w", encoding="utf-8", buffering=1) as stream:
        return perform(request, stream)


def perform(request: DeployRequest, stream: TextIO) -> int:
    """Do what `request` says and write its events, `Ended` last; returns the exit code."""
    import_pyinfra()

    from labctl.edges.driven_run import DrivenRun
    from labctl.edges.events import Ended, to_json
    from labctl.edges.read_run import ReadRun
    from labctl.edges.verify_run import VerifyRun

    for folder in (str(Path(request.deploy_file).resolve().parent.parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    kind = {"verify": VerifyRun, "doctor": VerifyRun, "read": ReadRun}.get(request.mode, DrivenRun)
    run = kind(request, lambda event: _write(stream, to_json(event)))
    code = run.run()
    run.emit(Ended(code))
    return code


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
