"""Whatever a person names as a model: a file, a directory, or a repository on the Hugging Face hub."""

import re
from pathlib import Path

from labctl.edges.model_files import Directory
from labctl.edges.model_repository import ReadModel, read_repository
from labctl.errors import BadInput

__all__ = ["ReadModel", "read_model"]

_ON_THE_HUB = re.compile(
    r"(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(?:(?::|@)(?P<quant>[\w.-]+)|/(?P<file>[^:]+\.gguf))?"
)
# As people copy them from a browser, or as Ollama and llama.cpp write them.
_SITE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf:(?://)?")
_PAGE = re.compile(r"/(?:tree|blob|resolve)/(?P<revision>[^/]+)(?=/|$)")
_WRONG_FILES = {".safetensors", ".json", ".bin", ".pth", ".pt", ".ckpt", ".onnx"}


def read_model(text: str, *, revision: str | None = None) -> ReadModel:
    """The model that `text` names.

    text: a .gguf file (of a split one any part), a directory (config.json with safetensors, model_index.json, or one
    GGUF), or `org/name`, `org/name:QUANT`, `org/name/file.gguf` on the hub. revision: branch, tag or commit there.
    Raises `BadInput` where it names nothing, or not one model; `Failed` where the hub cannot be asked.
    """
    site = _SITE.match(text)
    path = Path(text).expanduser()
    if not site and (path.exists() or _can_only_be_a_path(text)):
        if revision is not None:
            raise BadInput(
                "only repositories on the hub have revisions", where=text, hint="leave out the revision"
            )
        return _read_path(path)
    named = text[site.end() :] if site else text
    page = _PAGE.search(named)
    if page:
        named = named[: page.start()] + named[page.end() :]
        revision = revision or page["revision"]
    match = _ON_THE_HUB.fullmatch(named.rstrip("/"))
    if match is None:
        raise BadInput(
            "this names no model",
            where=text[:200],
            expected="a .gguf file, a directory with config.json, or org/name on the Hugging Face hub",
            hint="is the path right?",
        )
    from labctl.edges.hub import HubRepository

    return read_repository(
        HubRepository(match["repository"], revision), quant=match["quant"], file=match["file"]
    )


def _can_only_be_a_path(text: str) -> bool:
    """Nothing is there, and it is no name on the hub either."""
    if text.startswith(("/", "./", "../", "~")) or text in ("", ".", ".."):
        return True
    parts = text.split("/")
    return (len(parts) <= 2 and text.endswith(".gguf")) or (len(parts) > 2 and Path(parts[0]).is_dir())


def _read_path(path: Path) -> ReadModel:
    if path.is_dir():
        return read_repository(Directory(path))
    if not path.exists():
        raise BadInput(
            "there is no such file or directory",
            where=str(path),
            expected="a .gguf file, or a directory with config.json",
            hint="is the path right?",
        )
    if path.suffix in _WRONG_FILES:
        raise BadInput(
            "this file alone is no model",
            where=str(path),
            found=path.name,
            expected="a .gguf file, or a directory",
            hint=f"name the directory that it is in: {path.parent}",
        )
    return read_repository(Directory(path.parent, folders=False), file=path.name)
