"""Which files of a repository an engine that reads a whole folder needs: weights once, and all that is small."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

# Other engines' formats, and the same weights once more as their makers' own tools read them.
_OTHERS = frozenset({"onnx", "openvino", "original", "metal", "coreml", "flax", "tensorrt", "gguf"})
_OTHER_FORMATS = (".gguf", ".onnx", ".h5", ".msgpack", ".tflite", ".ot", ".mlmodel", ".nemo")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_SHOWN = (".md", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".pdf")
# consolidated.safetensors, and diffusion weights rounded to half precision: flux.fp16.safetensors.
_CONSOLIDATED = re.compile(r"consolidated[\w.-]*\.safetensors")
_ROUNDED = re.compile(r"\.(fp16|bf16|non_ema)(?=[.-])")


def snapshot(names: Collection[str]) -> tuple[str, ...]:
    """The files, sorted. Empty where there are no weights in a format that is read here."""
    useful = [name for name in names if _is_useful(name)]
    weights = [name for name in useful if name.endswith(".safetensors")]
    if weights:
        weights = [name for name in weights if not _is_second(name, weights, names)]
    else:
        # Pickled weights run whatever their maker put in them, so they are only taken where there is nothing else.
        weights = [name for name in useful if name.endswith(_PICKLED)]
    if not weights:
        return ()
    rest = [name for name in useful if not name.endswith((".safetensors", *_PICKLED))]
    return tuple(sorted([*weights, *rest]))


def _is_useful(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return not (hidden or _OTHERS & set(path.parts[:-1]) or name.lower().endswith((*_OTHER_FORMATS, *_SHOWN)))


def _is_second(name: str, weights: Collection[str], names: Collection[str]) -> bool:
    """Whether the same weights lie there in another file."""
    path = PurePosixPath(name)
    beside = [each for each in weights if PurePosixPath(each).parent == path.parent]
    if _CONSOLIDATED.fullmatch(path.name):
        return any(not _CONSOLIDATED.fullmatch(PurePosixPath(each).name) for each in beside)
    if "model_index.json" in names and len(path.parts) == 1:
        return any("/" in each for each in weights)
    return bool(_ROUNDED.search(path.name)) and any(
        not _ROUNDED.search(PurePosixPath(each).name) for each in beside
    )
