"""What a pull is asked for, as JSON on its standard input. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from labctl.errors import BadInput

SCHEMA_VERSION = 1
PART = ".part"
RECORD = ".labctl.json"
SENT_OF = ".of"
"""Ends the name of what says of which file a part is that a client sends."""
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "git_oid": re.compile(r"[0-9a-f]{40}")}


@dataclass(frozen=True)
class WantedFile:
    """One file of a model. path: below the model's folder, or beside the other files of a model that has none.

    bytes: None where no source says. sha256, git_oid: what it is verified by; git_oid as git names small files.
    url: where it comes from; copied: a path of the host instead. Neither: it was sent, and lies there to be verified.
    """

    path: str
    bytes: int | None = None
    sha256: str | None = None
    git_oid: str | None = None
    url: str | None = None
    copied: str | None = None

    @property
    def identity(self) -> str | None:
        """What it is verified by; None where nobody gave anything."""
        return self.sha256 or self.git_oid


@dataclass(frozen=True)
class WantedModel:
    """A model. place: below the host's folder. folder: it is one. source: where it comes from, for people."""

    place: str
    source: str
    files: tuple[WantedFile, ...]
    folder: bool = False


@dataclass(frozen=True)
class Request:
    """What one pull does. token: goes to `token_for` (scheme and host) alone."""

    folder: str
    models: tuple[WantedModel, ...]
    token: str | None = None
    token_for: str | None = None

    def text(self, *, with_token: bool) -> str:
        """The same request gives the same text."""
        values = asdict(self) | {"schema_version": SCHEMA_VERSION}
        if not with_token:
            del values["token"]
        return json.dumps(values, sort_keys=True)


def parse(text: str) -> Request:
    """Read a request. Raises BadInput where it cannot be meant as it stands."""
    try:
        values = json.loads(text)
        models = tuple(_model(each) for each in values["models"])
        request = Request(str(values["folder"]), models, values.get("token"), values.get("token_for"))
    except (ValueError, KeyError, TypeError) as problem:
        raise BadInput(
            "this is no request for models", found=f"{type(problem).__name__}: {problem}"
        ) from None
    for wrong in _problems(request):
        raise BadInput(wrong, where="the request")
    return request


def is_below(path: str) -> bool:
    """Whether a path stays below the folder it is relative to, and is written in the plainest way."""
    parts = PurePosixPath(path).parts
    return bool(parts) and str(PurePosixPath(path)) == path and not path.startswith("/") and ".." not in parts


def _model(values: Mapping[str, Any]) -> WantedModel:
    files = tuple(WantedFile(**each) for each in values["files"])
    return WantedModel(str(values["place"]), str(values["source"]), files, bool(values["folder"]))


def _problems(request: Request) -> Iterator[str]:
    if not request.folder.startswith("/"):
        yield f"{request.folder} is no absolute path"
    for model in request.models:
        if not is_below(model.place) or model.place.endswith((PART, RECORD)):
            yield f"{model.place} is no place for a model"
        if not model.files:
            yield f"{model.place} has no files"
        for file in model.files:
            if not is_below(file.path) or file.path.endswith((PART, RECORD)):
                yield f"{file.path} is no name for a file"
            for name, pattern in _HEX.items():
                value = getattr(file, name)
                if value is not None and not pattern.fullmatch(value):
                    yield f"{value} is no {name}"
            if file.url is not None and not file.url.startswith(("http://", "https://")):
                yield f"{file.url} is no address on the web"
