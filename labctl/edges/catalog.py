"""Reads the catalogue that labctl carries: one YAML file per card and per model, beside the package's code."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TypeVar

from labctl.errors import BadInput
from labctl.rig import catalogue as gpu_catalogue
from labctl.rig.gpu import Gpu

ROOT = Path(__file__).resolve().parents[1] / "catalog"
Value = TypeVar("Value")


def gpu_names() -> tuple[str, ...]:
    """Every card in the catalogue, sorted."""
    return _names("gpus")


@cache
def gpu(name: str) -> Gpu:
    """A card by its catalogue name, an alias, or the name NVML gives it. Raises BadInput for one that is not there.

    `GeForce RTX 3060` is ambiguous to NVML (8 and 12 GB); it finds the catalogue's `rtx-3060`, the common one.
    """
    if (ROOT / "gpus" / f"{name}.yaml").is_file():
        return _gpu_file(name)
    wanted = gpu_catalogue.plain_name(name)
    for card in gpus():
        if wanted in {gpu_catalogue.plain_name(each) for each in (card.name, card.title, *card.aliases)}:
            return card
    raise _unknown("GPU", name, gpu_names())


@cache
def gpus() -> tuple[Gpu, ...]:
    """Every card, by name."""
    return tuple(_gpu_file(name) for name in gpu_names())


def _gpu_file(name: str) -> Gpu:
    return _read("gpus", name, gpu_catalogue.parse)


def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _files(folder)))


def _files(folder: str) -> Iterator[Path]:
    return (ROOT / folder).glob("*.yaml")


def _read(folder: str, name: str, parse: Callable[[str, str], Value]) -> Value:
    path = ROOT / folder / f"{name}.yaml"
    return parse(path.read_text(encoding="utf-8"), f"catalog/{folder}/{path.name}")


def _unknown(what: str, name: str, known: tuple[str, ...]) -> BadInput:
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"`labctl/catalog` lists {len(known)} of them"
    return BadInput(f"no {what} of that name in the catalogue", found=name, hint=hint)
