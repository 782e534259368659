"""The program: what systemd runs for a pull, and what labctl asks over SSH."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

from labctl.errors import DONE, LabctlError
from labctl.model_store.lying import document, remove
from labctl.model_store.progress import Progress, Status
from labctl.model_store.request import parse
from labctl.model_store.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line; returns the exit code. What fails is said as JSON on standard output."""
    parser = argparse.ArgumentParser(prog="labctl-models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pull", help="do what standard input says; $RUNTIME_DIRECTORY gets status and result")
    for name, about in (("list", "print what lies in FOLDER"), ("rm", "remove PLACE from FOLDER")):
        command = commands.add_parser(name, help=about)
        command.add_argument("folder")
        if name == "rm":
            command.add_argument("place")
    parsed = parser.parse_args(arguments)
    if parsed.command == "pull":
        return pull(sys.stdin, Path(os.environ["RUNTIME_DIRECTORY"]))
    store = Store(Path(parsed.folder))
    try:
        if parsed.command == "rm":
            with store.locked(None):
                remove(store, parsed.place)
        _say(document(store))
    except LabctlError as problem:
        _say(problem.to_json())
        return problem.exit_code
    return DONE


def pull(source: IO[str], told: Path) -> int:
    """Do what a request says; returns the exit code."""
    from labctl.model_store.fetching import Fetching, on_disk  # brings TLS, which a list needs not

    progress = Progress(told, _line)
    try:
        request = parse(source.read())
    except LabctlError as problem:
        return _failed(progress, problem)
    store = Store(Path(request.folder))
    try:
        with store.locked(lambda: progress.now(Status("waiting", note="another pull is under way"))):
            results = Fetching(request, progress).run()
    except LabctlError as problem:
        return _failed(progress, problem)
    except OSError as error:
        return _failed(progress, on_disk(error, store.folder))
    progress.result({"models": [asdict(each) for each in results], "error": None})
    return max((each.exit_code for each in results), default=DONE)


def _failed(progress: Progress, problem: LabctlError) -> int:
    progress.result({"models": [], **problem.to_json()})
    _line(f"failed: {problem}")
    return problem.exit_code


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say(document: dict[str, object]) -> None:
    _line(json.dumps(document, sort_keys=True))
