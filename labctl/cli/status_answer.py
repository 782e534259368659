"""Asks the hosts what runs on them, and prints it once or again and again."""

import contextlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labctl.cli.status_document import status_document
from labctl.cli.status_text import status_text
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_shells import host_shells
from labctl.edges.host_statuses import status_of
from labctl.edges.whole_file import write_whole
from labctl.errors import ANSWER_IS_NO, DONE, FAILED, AnswerIsNo, BadInput, LabctlError
from labctl.status.advice import measured
from labctl.status.host import HostStatus

_WATCH_SECONDS = 2


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl status`, as it was written."""

    inventory: str
    save_measured: str | None
    watch: bool
    as_json: bool


def answer(asked: Asked) -> int:
    """Print it; returns the exit code. Raises BadInput for options that cannot go together."""
    if asked.watch and (asked.as_json or not sys.stdout.isatty()):
        raise BadInput(
            "there is no screen to draw on again and again",
            where="--watch",
            found="--json" if asked.as_json else "no terminal",
            hint="without --watch it is printed once",
        )
    if asked.save_measured and Path(asked.save_measured).exists():
        raise BadInput("the file is there already", where=asked.save_measured, hint="name a new one")
    with host_shells(asked.inventory) as shells:
        if asked.watch:
            _watch(shells)
            return DONE
        hosts = _look(shells)
    code = exit_code(hosts)
    if asked.as_json:
        print(json.dumps(status_document(hosts, code), indent=2))
    else:
        print(status_text(hosts), end="")
    if asked.save_measured:
        _save(asked.save_measured, hosts)
    return code


def exit_code(hosts: tuple[HostStatus, ...]) -> int:
    """0 all as planned, 3 something is not, 1 a host does not answer."""
    if any(each.problem for each in hosts):
        return FAILED
    return DONE if all(each.as_planned for each in hosts) else ANSWER_IS_NO


def _look(shells: Mapping[str, HeldShell | LabctlError]) -> tuple[HostStatus, ...]:
    return tuple(status_of(name, shell) for name, shell in shells.items())


def _watch(shells: Mapping[str, HeldShell | LabctlError]) -> None:
    from time import sleep

    from rich.live import Live
    from rich.text import Text

    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        while True:
            live.update(Text(status_text(_look(shells)).rstrip("\n")), refresh=True)
            sleep(_WATCH_SECONDS)


def _save(file: str, hosts: tuple[HostStatus, ...]) -> None:
    content = measured(hosts, datetime.now(tz=UTC).date().isoformat())
    if content is None:
        raise AnswerIsNo(
            "nothing was measured",
            where="--save-measured",
            found="no llama.cpp or vLLM that runs healthy and whose memory the driver tells",
        )
    write_whole(Path(file), content, "the measurements")
    print(f"Measured: {file}; `labctl fit --measured {file}` corrects estimates by it.", file=sys.stderr)
