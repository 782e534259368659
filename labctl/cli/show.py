"""Shows a run, while it goes on and when it is over; the same for deploy, check, verify and doctor."""

import json
import shutil
from collections.abc import Iterator

from labctl.cli.doctor_document import doctor_document
from labctl.cli.doctor_text import doctor_text
from labctl.cli.document import run_document
from labctl.cli.progress import asked, watched
from labctl.cli.report import report_of
from labctl.cli.summary import summary
from labctl.cli.terminal import here
from labctl.edges.events import Event, Mode


def show_run(mode: Mode, inventory: str, events: Iterator[Event], *, as_json: bool, verbosity: int) -> int:
    """Show the run to its end; returns its exit code. Raises BadInput when the run was refused."""
    report = report_of(mode, asked(events) if as_json else watched(events, verbosity=verbosity))
    if refused := report.refused:
        raise refused.error()
    if as_json:
        print(json.dumps(doctor_document(report) if mode == "doctor" else run_document(report), indent=2))
    elif mode == "doctor":
        terminal = here()
        text = doctor_text(report, inventory=inventory, width=terminal.columns, all_of_it=verbosity > 0)
        print(terminal.spelled(text), end="")
    else:
        print(summary(report, inventory=inventory, width=shutil.get_terminal_size().columns), end="")
    return report.exit_code
