"""Whatever a person names as a model: a file, a directory, or a repository on the Hugging Face hub."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from labctl.edges.model_files import Directory
from labctl.edges.model_repository import read_repository
from labctl.edges.model_sources import ReadModel
from labctl.errors import BadInput

__all__ = ["ReadModel", "read_model"]

_ON_THE_HUB = re.compile(
    r"(?P<repository>[\w.-]{1,96}/[\w.-]{1,96})(?:(?::|@)(?P<quant>[\w.-]+)|/(?P<file>[^:]+\.gguf))?"
)
# As people copy them from a browser, or as Ollama and llama.cpp write them.
_SITE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/|hf:(?://)?")
_PAGE = re.compile(r"/(?:tree|blob|resolve)/(?P<revision>[^/]+)(?=/|$)")
_WRONG_FILES = {".safetensors", ".json", ".bin", ".pth", ".pt", ".ckpt", ".onnx"}


@dataclass(frozen=True)
class NameOnHub:
    """A repository, and what of it: the GGUF of a quantization, a file, a branch or tag or commit; None: not said."""

    repository: str
    quant: str | None = None
    file: str | None = None
    revision: str | None = None


def read_model(text: str, *, revision: str | None = None) -> ReadModel:
    """The model that `text` names.

    text: a .gguf file (of a split one any part); a directory with config.json, with model_index.json or with one GGUF,
    or with several and one's quantization (`models:Q4_K_M`); or on the hub `org/name`, `org/name:QUANT` or
    `org/name/file.gguf`. revision: branch, tag or commit there.
    Raises `BadInput` where it names nothing, or not one model; `Failed` where the hub cannot be asked.
    """
    site = _SITE.match(text)
    if not site and (found := _on_this_machine(text)):
        path, quant = found
        if revision is not None:
            raise BadInput(
                "only repositories on the hub have revisions", where=text, hint="leave out the revision"
            )
        return _read_path(path, quant)
    named = on_the_hub(text)
    if named is None:
        raise BadInput(
            "this names no model",
            where=text[:200],
            expected="a .gguf file, a directory with config.json, or org/name on the Hugging Face hub",
            hint="is the path right?",
        )
    from labctl.edges.hub import HubRepository

    repository = HubRepository(named.repository, revision or named.revision)
    return read_repository(repository, quant=named.quant, file=named.file)


def on_the_hub(text: str) -> NameOnHub | None:
    """What `text` names on the hub; None where it cannot be a name there."""
    site = _SITE.match(text)
    name = text[site.end() :] if site else text
    page = _PAGE.search(name)
    if page:
        name = name[: page.start()] + name[page.end() :]
    match = _ON_THE_HUB.fullmatch(name.rstrip("/"))
    if match is None:
        return None
    return NameOnHub(match["repository"], match["quant"], match["file"], page["revision"] if page else None)


def _on_this_machine(text: str) -> tuple[Path, str | None] | None:
    """The path, and a quantization behind it; None for what can only be a name on the hub."""
    path = os.path.expanduser(text)  # noqa: PTH111 - Path's own raises for a user that is not there
    folder, _, quant = path.rpartition(":")
    if os.path.exists(path):  # noqa: PTH110 - Path's own raises for a name that is too long
        return Path(path), None
    if quant and os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises likewise
        return Path(folder), quant
    parts = text.split("/")
    path_like = text.startswith(("/", "./", "../", "~")) or text == ""
    if path_like or (len(parts) <= 2 and text.endswith(".gguf")):
        return Path(path), None
    return (Path(path), None) if len(parts) > 2 and Path(parts[0]).is_dir() else None


def _read_path(path: Path, quant: str | None) -> ReadModel:
    if os.path.isdir(path):  # noqa: PTH112 - see _on_this_machine
        return read_repository(Directory(path), quant=quant)
    if not os.path.exists(path):  # noqa: PTH110 - see _on_this_machine
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
