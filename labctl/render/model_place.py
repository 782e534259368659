"""Where the files of a model lie below the host's folder of models, so that whoever puts them there and whoever loads
them mean the same place.
"""

import re
from pathlib import PurePosixPath

from labctl.place.rules import STORED_AS

_GGUF = ".gguf"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# What is not quantized, which a plan and who pulls it call by other names.
_WHOLE_NUMBERS = ("bf16", "fp16", "fp32")
# What a projector's file of a catalogue model is called.
PROJECTOR = "mmproj.gguf"


def place_of(model: str, quant: str, engine: str) -> str:
    """Relative to the folder: a file for llama.cpp, a directory for others.

    model: as a workload names it. A path keeps its last part; `org/name` its two; a catalogue name is a folder.
    """
    if model.endswith(_GGUF):
        return _safe(PurePosixPath(model).name)
    if model.startswith(("/", "./", "../", "~")):
        return _safe(PurePosixPath(model).name or "model")
    parts = [_safe(each) for each in model.split("/") if each.strip(".")]
    folder = "/".join(parts) or "model"
    if engine == "llama.cpp":
        return f"{folder}/{parts[-1] if parts else 'model'}-{_safe(quant)}{_GGUF}"
    stored = STORED_AS.get(quant.lower())
    return f"{folder}/{_safe(stored if stored in _WHOLE_NUMBERS else quant)}"


def projector_of(model: str) -> str:
    """Relative to the folder: the file with what lets a model see, beside the model's own."""
    return str(PurePosixPath(place_of(model, "", "llama.cpp")).parent / PROJECTOR)


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text).lstrip(".") or "_"
