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
    """Those that were added here, and those that labctl carries, which all speak of models of the catalogue."""
    own = tuple(each for path in sorted(folder().glob("*.yaml")) for each in read(path))
    return (*own, *catalog.measurements()) if carried else own


def read(path: Path) -> "tuple[Measurement, ...]":
    """The measurements in a file. Raises BadInput with file, line and key; cards must be the catalogue's."""
    from labctl.estimate.calibration import parse

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadInput("the measurements cannot be read", where=str(path), found=said) from error
    return tuple(
        _named_as_estimates_are(each, f"{path}: measurements[{number}]")
        for number, each in enumerate(parse(text, str(path)))
    )


def _named_as_estimates_are(each: "Measurement", where: str) -> "Measurement":
    """Cards and models by their catalogue names, so that an estimate finds what was measured under an alias."""
    if each.engine not in MEASURED:
        raise BadInput(
            "no engine of that name", where=f"{where}.engine", found=each.engine, expected=", ".join(MEASURED)
        )
    try:
        card = catalog.gpu(each.card).name
    except BadInput as unknown:
        unknown.where = f"{where}.card"
        raise
    try:
        model = catalog.model_record(each.model).name
    except BadInput:
        model = each.model  # a file's own name
    return replace(each, card=card, model=model)


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
    return found
