"""Pulls against a simulated hub on loopback, as the program does them, without the waiting."""

import hashlib
from pathlib import Path

from labctl.model_store.fetching import Fetching, Result
from labctl.model_store.lying import everything
from labctl.model_store.progress import Progress
from labctl.model_store.request import Request, WantedFile, WantedModel, parse
from labctl.model_store.store import Record, Store
from tests.labctl.edges.hub_server import Hub

CONTENT = bytes(range(256)) * 4 * 1024  # 1 MiB
OTHER = CONTENT[::-1]
PLACE = "org/name/name-Q4_K_M.gguf"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(hub: Hub, name: str = "m.gguf", to: str = "name-Q4_K_M.gguf", *, sized: bool = True) -> WantedFile:
    content, size = hub.files[name]
    return WantedFile(to, size if sized else None, sha256(content), url=f"{hub.url}/files/{name}")


def model(*files: WantedFile, place: str = PLACE, folder: bool = False) -> WantedModel:
    return WantedModel(place, "the simulated hub", files, folder)


class Puller:
    """Pulls into one folder, as the program does. waited: seconds, never slept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder / "models", Store(folder / "models")
        self.folder.mkdir()
        self.told = folder / "told"
        self.told.mkdir()
        self.waited: list[float] = []
        self.lines: list[str] = []

    def __call__(self, *models: WantedModel, token: str | None = None, token_for: str = "") -> list[Result]:
        request = Request(str(self.folder), models, token, token_for or None)
        progress = Progress(self.told, self.lines.append)
        return Fetching(parse(request.text(with_token=True)), progress, self.waited.append).run()

    def leave(self, hub: Hub, content: bytes) -> Path:
        """As a pull of `m.gguf` that was cut off leaves it; returns the part."""
        self.store.keep(begun(hub))
        part = self.store.staging(PLACE) / "name-Q4_K_M.gguf.part"
        part.parent.mkdir()
        part.write_bytes(content)
        return part

    def content(self, path: str = PLACE) -> bytes | None:
        at = self.folder / path
        return at.read_bytes() if at.is_file() else None

    def whole(self) -> dict[str, bool]:
        return {each.place: each.whole for each in everything(self.store)}


def message(result: Result) -> str:
    assert result.error is not None
    return str(result.error["message"])


def begun(hub: Hub) -> Record:
    """The record of a pull of `m.gguf` that was cut off."""
    return Record(PLACE, "the simulated hub", folder=False, files=(file(hub),))
