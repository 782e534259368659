"""The labctl command, run as a person runs it: against an inventory file, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import Failed

_TIMEOUT_S = 900


@dataclass(frozen=True)
class HostOutcome:
    """What one run did on one host, from `labctl --json`.

    changed: "role: name" of the operations that changed something. operations, remote_commands: of a deploy.
    checks: verdict → how many, of a verify.
    """

    changed: tuple[str, ...]
    operations: int
    remote_commands: int
    checks: Mapping[str, int]


def labctl(command: str, inventory: Path, *, log: Path | None = None) -> dict[str, HostOutcome]:
    """Run `labctl COMMAND INVENTORY --json`; host name → outcome.

    log: a file that the run's output is added to. Raises `Failed` with what labctl complained of when it does not
    exit with 0.
    """
    exit_code, output, complaints = _run([sys.executable, "-m", "labctl", command, str(inventory), "--json"])
    if log:
        with log.open("a") as file:
            file.write(f"$ labctl {command}\n{output}{complaints}\n")
    try:
        document = json.loads(output)
    except ValueError as error:
        raise Failed(f"no JSON: {output}{complaints}"[-500:], where=f"labctl {command}") from error
    if exit_code != 0:
        raise Failed(f"exit code {exit_code}: {_complaint(document)}", where=f"labctl {command}")
    return {name: _outcome(host) for name, host in document["hosts"].items()}


def _run(argv: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; when we are stopped, it and all it started go with us."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C comes to us alone, and one signal reaches all of it
    )
    try:
        output, complaints = process.communicate(timeout=_TIMEOUT_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, output, complaints


def _outcome(host: Mapping[str, Any]) -> HostOutcome:
    verdicts = [check["status"] for check in host["checks"]]
    return HostOutcome(
        changed=tuple(
            f"{operation['role']}: {operation['name']}"
            for operation in host["operations"]
            if operation["status"] == "changed"
        ),
        operations=len(host["operations"]),
        remote_commands=host["remote_commands"] or 0,
        checks={verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)},
    )


def _complaint(document: Mapping[str, Any]) -> str:
    """The first thing that went wrong, in words."""
    if "error" in document:
        return str(document["error"]["message"])
    for name, host in document["hosts"].items():
        if host["error"]:
            return f"{name}: {host['error']['message']}. {host['error']['hint'] or ''}".strip()
        for step in (*host["operations"], *host["checks"]):
            if step["status"] == "failed":
                output = " / ".join(step["output"])
                return f"{name}: {step['role']}: {step['name']}: {step['reason'] or ''} {output}".strip()
    return "; ".join(document["notes"])
