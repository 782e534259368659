"""Cards by PCI id, which the bus tells without any driver."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from labctl.yaml_document import read

# NVIDIA's chips by the two letters their code names begin with (pci.ids writes them in front of the product).
GENERATIONS = {
    "GK": "kepler",
    "GM": "maxwell",
    "GP": "pascal",
    "GV": "volta",
    "TU": "turing",
    "GA": "ampere",
    "AD": "ada",
    "GH": "hopper",
    "GB": "blackwell",
}
OLDER = "older"  # Fermi and before
_NAMED_CHIP = re.compile(r"\b(" + "|".join(GENERATIONS) + r")[0-9][0-9A-Zx]{1,2}[A-Z]*\b")


@dataclass(frozen=True)
class Identity:
    """What an id says. models: names in the catalogue, none or several. generation: None where nobody knows it.

    certain: the id itself is listed; else its neighbours are all of that generation, or the host's own list said so.
    """

    models: tuple[str, ...]
    generation: str | None
    certain: bool


@dataclass(frozen=True)
class PciIds:
    """models: names in the catalogue by device id, four hexadecimal digits. generations: by device id."""

    models: dict[str, tuple[str, ...]]
    generations: dict[str, str]

    def identify(self, device: str, name: str = "") -> Identity:
        """A card by its device id; name: what the host's own `lspci` calls it, for ids that are newer than this list.

        An unlisted id goes by the chip in its name, then by its neighbours: those of the same first three digits, then
        of the same two, where they agree.
        """
        device = device.lower()
        models = self.models.get(device, ())
        if device in self.generations:
            return Identity(models, self.generations[device], certain=True)
        chip = _NAMED_CHIP.search(name)
        if chip:
            return Identity(models, GENERATIONS[chip[1]], certain=False)
        for digits in (3, 2):
            near = {g for known, g in self.generations.items() if known[:digits] == device[:digits]}
            if len(near) == 1:
                return Identity(models, near.pop(), certain=False)
        return Identity(models, None, certain=False)

    def of_model(self, model: str) -> tuple[str, ...]:
        """Every device id of a card of the catalogue."""
        return tuple(sorted(device for device, names in self.models.items() if model in names))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    sources: list[str] = Field(min_length=1)
    cards: dict[str, list[str]]
    generations: dict[str, str]


def parse(text: str, where: str) -> PciIds:
    """The list that the catalogue carries. Raises BadInput with file and line."""
    file = read(text, where, _File)
    generations = {device: name for name, ids in file.generations.items() for device in _ids(ids)}
    return PciIds({device: tuple(names) for device, names in file.cards.items()}, generations)


def _ids(words: str) -> Iterable[str]:
    return words.split()
