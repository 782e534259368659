"""Start the driver process and hand on what it reports."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from labctl.edges import events
from labctl.edges.deploy_request import DeployRequest


def run(request: DeployRequest) -> Iterator[events.Event]:
    """Yield the events of one deploy, check, verify or read; the last is `Ended`.

    A driver that dies without a word (killed, out of memory) ends with exit code 1 as well. pyinfra's own log goes to
    standard error with -v and is kept back otherwise, to be shown if the driver ends without an event.
    """
    read_fd, write_fd = os.pipe()
    # Not on the command line: `--data` may hold what nobody else on this machine should read in a process list.
    request_fd, fill_fd = os.pipe()
    command = [
        *(sys.executable, "-m", "labctl.edges.pyinfra_driver"),
        *("--events-fd", str(write_fd), "--request-fd", str(request_fd)),
    ]
    # A file and not a pipe: nobody reads it while events are read, and a full pipe would stop the driver.
    quiet = request.verbosity == 0
    log = tempfile.TemporaryFile("w+", encoding="utf-8") if quiet else None  # noqa: SIM115 - outlives this line
    process = subprocess.Popen(
        command,
        pass_fds=(write_fd, request_fd),
        stdout=log or sys.stderr,
        stderr=log or sys.stderr,
        env={**os.environ, "PYINFRA_PROGRESS": "off"},
    )
    os.close(write_fd)
    os.close(request_fd)
    ended = False
    try:
        with contextlib.suppress(BrokenPipeError), os.fdopen(fill_fd, "w", encoding="utf-8") as pipe:
            pipe.write(request.to_json())
        with os.fdopen(read_fd, encoding="utf-8") as stream:
            for line in stream:
                event = events.parse(line)
                ended = ended or isinstance(event, events.Ended)
                yield event
        if not ended:
            status = process.wait()
            if log:
                log.seek(0)
            last = ((log.read() if log else "").strip().splitlines() or [f"exit status {status}"])[-1]
            yield events.Note("", "", f"the deploy process ended without finishing: {last}")
            yield events.Ended(1)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
