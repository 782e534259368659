"""What a transaction says: a line per step for people, and a last line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from labctl.errors import DONE, LabctlError

SCHEMA_VERSION = 1
RESULT = "result: "
"""Begins the last line; what follows is the result as JSON."""
Outcome = Literal["done", "unchanged", "refused", "rolled back", "left for the next boot"]


@dataclass
class Result:
    """How a transaction ended.

    refused: nothing was touched. rolled back: what had been stopped or changed is as it was; `not_back` names units
    that did not come up again. generation: in force now; None where there never was one. previous: in force before.
    added, changed, removed, started: units. edited: files that were changed by hand; `kept` is the folder that has them
    as they were, None where nothing was overwritten. foreign: files among ours that no generation knows.
    """

    transaction: str
    outcome: Outcome = "refused"
    generation: int | None = None
    previous: int | None = None
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    not_back: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    kept: str | None = None
    foreign: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None
    log: list[str] = field(default_factory=list)
    ended_at: str = ""
    exit_code: int = DONE

    def failed(self, problem: LabctlError, log: list[str] | None = None) -> None:
        """Note why; the exit code follows from it."""
        document = problem.to_json()["error"]
        assert isinstance(document, dict)
        self.error, self.exit_code, self.log = document, problem.exit_code, log or []

    def to_json(self) -> str:
        """One line."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, sort_keys=True)


class Report:
    """Writes lines where the journal reads them."""

    def __init__(self, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._write = write

    def line(self, text: str) -> None:
        """One step."""
        self._write(text + "\n")
        sys.stdout.flush()

    def result(self, result: Result) -> None:
        """The last line."""
        self.line(RESULT + result.to_json())
