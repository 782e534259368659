"""Reading a header's metadata without trusting it: a value of the wrong type or size is the file's fault."""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.models.model import MetadataValue

MAX_SIZE = 2**40


@dataclass(frozen=True)
class Metadata:
    """Keys below one prefix (the architecture's). where: the file, for messages."""

    values: Mapping[str, MetadataValue]
    prefix: str
    where: str

    def size(self, key: str, default: int | None = None) -> int:
        """A whole number that is not negative. Raises `BadInput` when it is none, or missing without a default."""
        value = self.values.get(f"{self.prefix}.{key}")
        if value is None:
            if default is None:
                raise self._bad(key, "nothing")
            return default
        if isinstance(value, tuple) and value:
            value = value[0]
        return self._whole(key, value)

    def sizes(self, key: str, n_layers: int, default: int | None = None) -> tuple[int, ...]:
        """One number per layer; a single one holds for all. A short array's last entry holds for the rest."""
        value = self.values.get(f"{self.prefix}.{key}")
        if not isinstance(value, tuple):
            return (self.size(key, default),) * n_layers
        if not value:
            raise self._bad(key, "an empty array")
        numbers = tuple(self._whole(key, item) for item in value[:n_layers])
        return numbers + numbers[-1:] * (n_layers - len(numbers))

    def flags(self, key: str) -> tuple[bool, ...] | None:
        """An array of booleans or numbers, one per layer; None where there is none."""
        value = self.values.get(f"{self.prefix}.{key}")
        return tuple(bool(item) for item in value) if isinstance(value, tuple) else None

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return f"{self.prefix}.{key}" in self.values

    def _whole(self, key: str, value: MetadataValue) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise self._bad(key, repr(value)[:80])
        if not 0 <= value <= MAX_SIZE:
            raise self._bad(key, str(value))
        return int(value)

    def _bad(self, key: str, found: str) -> BadInput:
        return BadInput(
            "this cannot be meant",
            where=f"{self.where}: {self.prefix}.{key}",
            found=found,
            expected="a whole number, not negative",
            hint="the header is damaged, or of a newer kind",
        )
