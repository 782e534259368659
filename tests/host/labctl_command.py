"""The labctl command, run as a person runs it: against an inventory file, in a process of its own."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import Failed
from tests.host.deploying import CHECKOUT

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


def labctl(
    command: str, inventory: Path, *, log: Path | None = None, checkout: Path = CHECKOUT
) -> dict[str, HostOutcome]:
    """Run `labctl COMMAND INVENTORY --json`; host name → outcome. Otherwise like `document`."""
    found = document(command, inventory, log=log, checkout=checkout)
    return {name: _outcome(host) for name, host in found["hosts"].items()}


def document(*arguments: str | Path, log: Path | None = None, checkout: Path = CHECKOUT) -> dict[str, Any]:
    """Run it with --json; returns what it printed. Otherwise like `said`."""
    return dict(json.loads(said(*arguments, "--json", log=log, checkout=checkout)))


def said(*arguments: str | Path, log: Path | None = None, checkout: Path = CHECKOUT) -> str:
    """Run labctl; returns its standard output.

    log: a file that the run's output is added to. checkout: whose labctl it is. Raises `Failed` with what labctl
    complained of when it does not exit with 0.
    """
    words = [str(each) for each in arguments]
    exit_code, output, complaints = _run([sys.executable, "-m", "labctl", *words], checkout)
    if log:
        with log.open("a") as file:
            file.write(f"$ labctl {shlex.join(words)}\n{output}{complaints}\n")
    if exit_code != 0:
        reason = _complaint(output) or f"{output}{complaints}"[-500:].strip()
        raise Failed(f"exit code {exit_code}: {reason}", where=f"labctl {words[0]}")
    return output


def _run(argv: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; when we are stopped, it and all it started go with us."""
    process = subprocess.Popen(
        argv,
        cwd=folder,
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


def _complaint(output: str) -> str:
    """The first thing that went wrong, in words; empty where the output does not say."""
    try:
        document = json.loads(output)
    except ValueError:
        return ""
    if "error" in document:
        return str(document["error"]["message"])
    hosts = document.get("hosts", {})
    for name, host in hosts.items() if isinstance(hosts, dict) else [(each["name"], each) for each in hosts]:
        told = [
            host["error"],
            *host.get("refusals", ()),
            *(each["error"] for each in host.get("models") or ()),
        ]
        for error in filter(None, told):
            return f"{name}: {error['message']}. {error['hint'] or ''}".strip()
        for step in (*host.get("operations", ()), *host.get("checks", ())):
            if step["status"] == "failed":
                last = " / ".join(step["output"])
                return f"{name}: {step['role']}: {step['name']}: {step['reason'] or ''} {last}".strip()
    return "; ".join(document.get("notes", ()))
