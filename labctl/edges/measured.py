"""Measurements that a person adds: kept beside labctl's own, under XDG_DATA_HOME."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.edges import catalog
from labctl.errors import BadInput, Failed
from labctl.estimate.claim import Engine

if TYPE_CHECKING:
    from labctl.estimate.calibration import Measurement

# Those whose estimates name a model as the catalogue does.
MEASURED: tuple[Engine, ...] = ("llama.cpp", "ollama", "vllm", "transformers", "training")


def folder() -> Path:
    """Where they are kept; by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "labctl" / "measurements"


def known(*, carried: bool = True) -> "tuple[Measurement, ...]":
    """Those that were added here, and with `carried` labctl's own, which all speak of models of the catalogue.

    Without, they are asked about a file, which has the name that its header says.
    """
    own = tuple(each for path in sorted(folder().glob("*.yaml")) for each in read(path))
    return (*map(_by_catalogue, own), *catalog.measurements()) if carried else own


def read(path: Path) -> "tuple[Measurement, ...]":
    """The measurements in a file. Raises BadInput with file, line and key; cards must be the catalogue's."""
    from labctl.estimate.calibration import parse

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadInput("the measurements cannot be read", where=str(path), found=said) from error
    return tuple(
        _checked(each, f"{path}: measurements[{number}]")
        for number, each in enumerate(parse(text, str(path)))
    )


def _checked(each: "Measurement", where: str) -> "Measurement":
    """The card by its catalogue name, so that an estimate finds what was measured under an alias."""
    if each.engine not in MEASURED:
        raise BadInput(
            "no engine of that name", where=f"{where}.engine", found=each.engine, expected=", ".join(MEASURED)
        )
    try:
        return replace(each, card=catalog.gpu(each.card).name)
    except BadInput as unknown:
        unknown.where = f"{where}.card"
        raise


def _by_catalogue(each: "Measurement") -> "Measurement":
    """The model by its catalogue name, where it has one."""
    try:
        return replace(each, model=catalog.model_record(each.model).name)
    except BadInput:
        return each


def add(path: Path) -> "tuple[Measurement, ...]":
    """Keep the measurements of a file; returns them. Adding the same file again changes nothing.

    Raises BadInput for a file that is wrong, Failed where they cannot be kept.
    """
    import hashlib

    found = read(path)
    content = path.read_bytes()
    target = folder() / f"{hashlib.sha256(content).hexdigest()[:16]}.yaml"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise Failed(
            "the measurements cannot be kept",
            where=str(target.parent),
            found=error.strerror,
            hint="set XDG_DATA_HOME to a folder that can be written",
        ) from error
    return tuple(map(_by_catalogue, found))
