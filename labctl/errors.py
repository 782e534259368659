"""The one error type.

Whoever finds a problem raises it; only `labctl.__main__` turns it into a message and an exit code.
"""

DONE = 0
FAILED = 1
BAD_INPUT = 2
ANSWER_IS_NO = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells report it

SCHEMA_VERSION = 1


class LabctlError(Exception):
    """What a person needs in order to go on.

    message: what is wrong, a clause without a full stop.
    where: the file, then the key in it, as in `workloads/home.yaml: chat.context`.
    found, expected: what stood there and what belongs there.
    hint: what to do next, a clause that follows a dash.
    """

    exit_code = FAILED

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.found = found
        self.expected = expected
        self.hint = hint

    def __str__(self) -> str:
        """One line: where, what is wrong, what was found and expected, what to do next."""
        compared = [
            f"{name} {value}" for name, value in (("found", self.found), ("expected", self.expected)) if value
        ]
        line = f"{self.where}: {self.message}" if self.where else self.message
        if compared:
            line += f" ({', '.join(compared)})"
        return f"{line} — {self.hint}" if self.hint else line

    def to_json(self) -> dict[str, object]:
        """The document that `--json` prints in place of an answer; every key is always there."""
        return {
            "schema_version": SCHEMA_VERSION,
            "error": {
                "message": self.message,
                "where": self.where,
                "found": self.found,
                "expected": self.expected,
                "hint": self.hint,
                "exit_code": self.exit_code,
            },
        }


class Failed(LabctlError):
    """Something broke while doing what was asked."""

    exit_code = FAILED


class BadInput(LabctlError):
    """A file, a value or a command line that cannot be meant as it stands."""

    exit_code = BAD_INPUT


class AnswerIsNo(LabctlError):
    """Everything worked and the answer is no: does not fit, drift found, changes pending, a check failed."""

    exit_code = ANSWER_IS_NO


class Interrupted(LabctlError):
    """Ctrl-C."""

    exit_code = INTERRUPTED
