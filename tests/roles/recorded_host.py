"""A host that answers from what was written down, for the checks of the roles."""

from collections.abc import Mapping
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

# Standard output of a command that succeeds, or (exit status, standard output, standard error).
Answer = str | tuple[int, str, str]


class RecordedHost(BaseBackend):
    """Answers by the longest piece of a command that it knows."""

    NAME = "recorded"

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__("recorded")
        self._answers = answers

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Answer; a command that nobody wrote down fails the test."""
        text = self.quote(command, *args)
        known = [piece for piece in self._answers if piece in text]
        assert known, f"nothing is written down for: {text}"
        answer = self._answers[max(known, key=len)]
        status, out, err = (0, answer, "") if isinstance(answer, str) else answer
        return self.result(status, text.encode(), out.encode(), err.encode())


def recorded_host(answers: Mapping[str, Answer]) -> Host:
    """testinfra's host object for it."""
    backend = RecordedHost(answers)
    host = Host(backend)
    backend.set_host(host)
    return host
