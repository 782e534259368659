"""What lies in the folder of models, and how it is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from labctl.errors import AnswerIsNo, BadInput
from labctl.model_store.request import PART, RECORD, is_below
from labctl.model_store.store import (
    Store,
    bytes_below,
    size_of,
    split_files,
    sync_folder,
    whole_name,
)

# Any of these makes a folder a model; one model's tokenizer and shards are not listed one by one.
_MODEL_FILES = ("config.json", "model_index.json", "adapter_config.json")
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Lying:
    """One model. source: None where somebody else put it there. bytes: of the whole, None while nobody knows.

    have_bytes: what is on the disk. loaded_as: the path that an engine is given, None while it is not whole.
    """

    place: str
    source: str | None
    whole: bool
    bytes: int | None
    have_bytes: int
    loaded_as: str | None


def everything(store: Store) -> list[Lying]:
    """All models in the folder, by place."""
    known = {place: _of_record(store, place) for place in _recorded(store)}
    found = {place: each for place, each in known.items() if each is not None}
    for each in _by_hand(store, found.keys()):
        found[each.place] = each
    return [found[place] for place in sorted(found)]


def document(store: Store) -> dict[str, object]:
    """The same for the client, with what is free."""
    there = store.folder.is_dir()
    return {
        "folder": str(store.folder),
        "free_bytes": store.free_bytes() if there else None,
        "models": [asdict(each) for each in everything(store)] if there else [],
    }


def remove(store: Store, place: str) -> None:
    """Remove a model, and folders above it that are empty then. Raises BadInput for one that is not there."""
    if not is_below(place) or not any(each.place == place for each in everything(store)):
        raise BadInput("there is no such model", where=str(store.folder), found=place)
    at = store.at(place)
    if not at.parent.resolve().is_relative_to(store.folder.resolve()):
        raise AnswerIsNo("this leads out of the folder of models", where=str(at), found=str(at.resolve()))
    record = store.record(place)
    if record is None:
        files = [at, *split_files(at)]
    else:
        files = [at] if record.folder else [store.final(record, file) for file in record.files]
    # Last: as long as it is there, what is left is listed and can be removed again.
    for path in (*files, store.staging(place), at.with_name(at.name + RECORD)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    sync_folder(at.parent)
    for folder in at.parents:
        if folder == store.folder or any(folder.iterdir()):
            break
        folder.rmdir()


def _recorded(store: Store) -> Iterator[str]:
    for top, folders, files in os.walk(store.folder):
        here = Path(top).relative_to(store.folder)
        for name in files:
            if name.endswith(RECORD) and name != RECORD:
                yield str(here / name.removesuffix(RECORD))
        # What was cut off before its record was made is worth a line, too.
        yield from (str(here / name.removesuffix(PART)) for name in folders if name.endswith(PART))
        folders[:] = [name for name in folders if not name.endswith(PART)]


def _of_record(store: Store, place: str) -> Lying | None:
    record, staged = store.record(place), bytes_below(store.staging(place))
    if record is None:
        return Lying(place, None, whole=False, bytes=None, have_bytes=staged, loaded_as=None)
    whole = store.is_whole(record)
    have = sum(size_of(store.final(record, file)) or 0 for file in record.files) + staged
    return Lying(place, record.source, whole, record.n_bytes, have, store.loaded_as(place))


def _by_hand(store: Store, known: Collection[str]) -> Iterator[Lying]:
    """Models without a record: weights, and folders with a model's files, the uppermost of each."""
    ours = {
        str(store.final(record, file).relative_to(store.folder))
        for place in known
        if (record := store.record(place)) is not None
        for file in record.files
    }
    for top, folders, files in os.walk(store.folder):
        here = Path(top).relative_to(store.folder)
        folders[:] = [name for name in folders if not name.endswith(PART) and str(here / name) not in known]
        if top != str(store.folder) and set(files) & set(_MODEL_FILES):
            folders.clear()
            yield _unrecorded(store, str(here))
            continue
        places = [str(here / whole_name(name)) for name in files if name.endswith(_WEIGHTS)]
        there = {str(here / name) for name in files}
        for place in dict.fromkeys(places):
            split = {str(path.relative_to(store.folder)) for path in split_files(store.at(place))}
            if place not in known and not ours & {place, *(split & there)}:
                yield _unrecorded(store, place)


def _unrecorded(store: Store, place: str) -> Lying:
    first, at = store.by_hand(place), store.at(place)
    size = bytes_below(at) + sum(bytes_below(path) for path in split_files(at))
    loaded_as = None if first is None else str(first.relative_to(store.folder))
    return Lying(place, None, first is not None, size if first else None, size, loaded_as)
