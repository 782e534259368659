"""Looks what would move, asks, and moves it."""

import json
import shutil
import sys
from dataclasses import dataclass, replace

from labctl.cli.document import run_document
from labctl.cli.progress import asked as questions_alone
from labctl.cli.progress import watched
from labctl.cli.question import says_yes
from labctl.cli.report import RunReport, report_of
from labctl.cli.show import show_run
from labctl.cli.update_text import update_text
from labctl.edges.bundle import deploy_file
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.deploy_runner import run
from labctl.errors import DONE, BadInput, Failed


@dataclass(frozen=True)
class Asked:
    """The command line of `labctl update`, as it was written."""

    what: str
    inventory: str
    limit: tuple[str, ...]
    yes: bool
    as_json: bool
    verbosity: int


def answer(asked: Asked) -> int:
    """Do it; returns the exit code. Raises BadInput where nobody can be asked, Failed where the answer is no."""
    if asked.what != "host":
        raise BadInput(
            "services are not moved by it yet, hosts alone are",
            where="labctl update",
            found=asked.what,
            expected="host",
            hint=(
                f"`image: …` under {asked.what} in the workloads file, then labctl place and labctl apply; a service "
                "whose data moves with its version stays on the one that it has (labctl services NAME says which do)"
            ),
        )
    if not asked.yes and not sys.stdin.isatty():
        raise BadInput(
            "there is nobody to ask whether kernel and driver may move",
            where="--yes",
            found="no terminal",
            hint="with --yes they move, and the host reboots, without a question",
        )
    request = DeployRequest(
        mode="check",
        inventory=asked.inventory,
        limit=asked.limit,
        verbosity=asked.verbosity,
        deploy_file=str(deploy_file("update_host.py")),
    )
    if not asked.yes:
        found = _look(request, asked)
        if not any(host.status == "changes pending" for host in found.hosts.values()):
            return _nothing_to_move(found, asked)
        # Beside --json, too: the answer to the question is no part of the document.
        print(update_text(found, shutil.get_terminal_size().columns), end="", file=sys.stderr)
        if not says_yes("Move them?"):
            raise Failed("stopped at a question; nothing was moved")
    events = run(replace(request, mode="update"))
    return show_run("update", asked.inventory, events, as_json=asked.as_json, verbosity=asked.verbosity)


def _look(request: DeployRequest, asked: Asked) -> RunReport:
    events = run(request)
    shown = questions_alone(events) if asked.as_json else watched(events, verbosity=asked.verbosity)
    report = report_of("check", shown)
    if refused := report.refused:
        raise refused.error()
    return report


def _nothing_to_move(found: RunReport, asked: Asked) -> int:
    if asked.as_json:
        print(json.dumps(run_document(replace(found, mode="update")), indent=2))
    else:
        print(update_text(found, shutil.get_terminal_size().columns), end="")
    return found.exit_code if any(host.status != "ok" for host in found.hosts.values()) else DONE
