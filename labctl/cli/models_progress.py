"""How far a pull is: one moving line on a terminal, a line per tenth elsewhere. Always on stderr."""

import os
import sys

from labctl.cli.models_text import WIDTH, status_text
from labctl.model_store.progress import Status


class Line:
    """The line. Nothing of it is left when it ends."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
        self._told: tuple[object, ...] = ()

    def show(self, host: str, status: Status, doing: str | None = None) -> None:
        """Where it stands. doing: in other words than the status has."""
        text = status_text(host, status, doing)
        if self._moves:
            print(f"\r{text:<{WIDTH - 1}}", end="", file=sys.stderr, flush=True)
            return
        tenth = 10 * status.done_bytes // status.of_bytes if status.of_bytes else 0
        told = (host, status.phase, status.place, status.note, tenth)
        if told != self._told:
            self._told = told
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Something that stays."""
        self.end()
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self._moves:
            print(f"\r{'':<{WIDTH - 1}}\r", end="", file=sys.stderr, flush=True)
