"""What a host has in force and under way, for whoever asks over SSH: before every apply, so it imports little."""

from __future__ import annotations

import json
import sys

from labctl.errors import DONE, LabctlError
from labctl.transaction import lock
from labctl.transaction.data_images import last_images
from labctl.transaction.disk import record
from labctl.transaction.generations import Generations
from labctl.transaction.layout import Layout
from labctl.transaction.open_state import load
from labctl.transaction.report import SCHEMA_VERSION


def status(layout: Layout, generations: Generations) -> dict[str, object]:
    """What is in force, what there is to go back to, what is under way, and how the last one ended."""
    last = layout.last_result
    state, current = load(layout), generations.current()
    return {
        "schema_version": SCHEMA_VERSION,
        "current": current,
        "generations": [vars(one) for one in generations.all()],
        "open": state.transaction if state else None,
        "running": lock.holder(layout.lock),
        "data_images": last_images(layout, generations.manifest(current)),
        "last": record(last, "remove it: it says no more than how the last one ended")
        if last.is_file()
        else None,
    }


def print_status(layout: Layout, generations: Generations) -> int:
    """Print it as JSON, or what is in the way and what to do in one line; returns the exit code."""
    try:
        sys.stdout.write(json.dumps(status(layout, generations)) + "\n")
    except LabctlError as problem:
        sys.stderr.write(f"{problem}{f' — {problem.hint}' if problem.hint else ''}\n")
        return problem.exit_code
    return DONE
