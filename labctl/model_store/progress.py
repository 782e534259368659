"""What a pull says of itself: a small file that the client reads while it runs, and one when it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

STATUS, RESULT = "status.json", "result.json"
_SECONDS = 0.5
Phase = Literal["waiting", "loading", "verifying"]


@dataclass(frozen=True)
class Status:
    """Now. place: of the model. done_bytes, of_bytes: of all models of this pull; of_bytes None while not known.

    note: what stands in the way for the moment, as a server that is busy.
    """

    phase: Phase = "waiting"
    place: str = ""
    file: str = ""
    done_bytes: int = 0
    of_bytes: int | None = None
    note: str = ""


class Progress:
    """Writes status and result below `folder`. line: for the journal."""

    def __init__(self, folder: Path, line: Callable[[str], object]) -> None:
        self._folder = folder
        self._line = line
        self._told = float("-inf")
        self._status = Status()

    def line(self, text: str) -> None:
        """One step, for the journal."""
        self._line(text)

    def now(self, status: Status) -> None:
        """Where it stands; written twice a second, and whenever it is about something else."""
        same = (status.phase, status.place, status.file, status.note) == (
            self._status.phase,
            self._status.place,
            self._status.file,
            self._status.note,
        )
        if same and time.monotonic() - self._told < _SECONDS:
            return
        self._told, self._status = time.monotonic(), status
        self._write(STATUS, asdict(status))

    def result(self, document: dict[str, object]) -> None:
        """How it ended."""
        self._write(RESULT, document)

    def _write(self, name: str, document: dict[str, object]) -> None:
        staged = self._folder / f"{name}.new"
        staged.write_text(json.dumps(document, sort_keys=True) + "\n")
        staged.replace(self._folder / name)
