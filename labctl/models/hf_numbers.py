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
        return self._whole(key, value)

    def first(self, *keys: str, default: int = 0) -> int:
        """The first of several names that is there. Of a list, which is one number per layer, the first entry."""
        for key in keys:
            value = self.values.get(key)
            if value is not None:
                return self._whole(key, value[0] if isinstance(value, list) and value else value)
        return default

    def sizes(self, count: int, *keys: str, default: int = 0) -> tuple[int, ...]:
        """The same for every layer; a short list's last entry holds for the rest."""
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, list) and value:
                numbers = tuple(self._whole(key, item) for item in value[:count])
                return numbers + numbers[-1:] * (count - len(numbers))
        return (self.first(*keys, default=default),) * count

    def indices(self, key: str) -> frozenset[int] | None:
        """A list of layers; None where there is none."""
        value = self.values.get(key)
        return frozenset(self._whole(key, item) for item in value) if isinstance(value, list) else None

    def names(self, key: str) -> tuple[str, ...]:
        """A list of words, one per layer; empty where there is none."""
        value = self.values.get(key)
        return tuple(str(item) for item in value) if isinstance(value, list) else ()

    @property
    def kind(self) -> str:
        """model_type, in words of transformers; empty where there is none."""
        return str(self.values.get("model_type") or "")[:100]

    def _whole(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise self._bad(key, value)
        if not 0 <= value <= MAX_SIZE:
            raise self._bad(key, value)
        return int(value)

    def _bad(self, key: str, value: Any) -> BadInput:
        return BadInput(
            "this cannot be meant",
            where=f"{self.where}: {key}",
            found=repr(value)[:80],
            expected="a whole number, not negative",
            hint="is this a language model's config.json?",
        )
