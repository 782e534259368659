"""Numbers of a config.json, not trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.errors import BadInput

MAX_SIZE = 2**40


@dataclass(frozen=True)
class Numbers:
    """values: the object that holds the language model's keys. where: the file, for messages."""

    values: Mapping[str, Any]
    where: str

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number, not negative; null counts as missing. Raises `BadInput` for anything else."""
        value = self.values.get(key)
        if value is None and default is not None:
            return default
        if type(value) is not int or not 0 <= value <= MAX_SIZE:
            raise BadInput(
                "this cannot be meant",
                where=f"{self.where}: {key}",
                found=repr(value)[:80],
                expected="a whole number, not negative",
                hint="is this a language model's config.json?",
            )
        return value

    def first(self, *keys: str, default: int = 0) -> int:
        """The first of several names that is there."""
        return next((self.size(key) for key in keys if self.values.get(key) is not None), default)

    def names(self, key: str) -> tuple[str, ...]:
        """A list of words, one per layer; empty where there is none."""
        value = self.values.get(key)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()
