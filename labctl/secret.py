"""A secret in the inventory: a value that is read when it is used and prints as a mask everywhere else."""

from __future__ import annotations

import os
from pathlib import Path

from labctl.errors import BadInput
from labctl.mask import MASK


class Secret:
    """Where a secret is to be found: an environment variable or a file of the machine that deploys.

    `str()`, `repr()` and JSON show a mask, so `pyinfra … debug-inventory`, `-vv` and `--diff` cannot print it.
    `ssh_password` and `ssh_key_password` can be one under labctl; pyinfra alone takes only a string there.
    """

    def __init__(self, source: str, name: str) -> None:
        self._source = source
        self._name = name

    @classmethod
    def env(cls, name: str) -> Secret:
        """The value of an environment variable."""
        return cls("environment variable", name)

    @classmethod
    def file(cls, path: str | Path) -> Secret:
        """The content of a file, without its last line end."""
        return cls("file", str(path))

    def reveal(self) -> str:
        """Return the secret. Raises BadInput when it is not where it was said to be."""
        value = os.environ.get(self._name) if self._source != "file" else _content(Path(self._name))
        if not value:
            raise BadInput(
                "a secret is missing",
                where=f"{self._source} {self._name}",
                found="nothing",
                expected="the secret's value",
                hint="put it there, or take the setting that uses it out of the inventory",
            )
        return value

    def to_json(self) -> str:
        """What pyinfra's JSON output shows."""
        return MASK

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return repr(MASK)


def _content(path: Path) -> str | None:
    try:
        return path.expanduser().read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError):  # the latter's message would quote from the file
        return None
