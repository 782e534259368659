"""One pull: each model in turn, verified before it gets its name."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from labctl.errors import DONE, Failed, LabctlError
from labctl.model_store.download import Answer, Downloader, Refused, written
from labctl.model_store.progress import Phase, Progress, Status
from labctl.model_store.request import PART, SENT_OF, Request, WantedFile, WantedModel
from labctl.model_store.store import Record, Store, rename, same_file, same_files, size_of, sync_folder

_CHUNK_BYTES = 4 * 1024**2
Outcome = Literal["pulled", "there", "failed"]


@dataclass
class Result:
    """How one model ended. answer: of the server that did not give it."""

    place: str
    outcome: Outcome
    bytes: int | None = None
    error: dict[str, Any] | None = None
    exit_code: int = DONE
    answer: dict[str, Any] | None = None


@dataclass
class _Sum:
    """Bytes of the whole pull: of files that are done, and of all, as far as they are known."""

    done: int = 0
    sizes: list[int | None] = field(default_factory=list)

    @property
    def all(self) -> int | None:
        return None if None in self.sizes else sum(size for size in self.sizes if size is not None)


class Fetching:
    """One request in a folder that is held by nobody else."""

    def __init__(
        self, request: Request, progress: Progress, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._store = Store(Path(request.folder))
        self._request, self._progress = request, progress
        self._sum = _Sum()
        self._status = Status()
        self._downloader = Downloader(
            request.token,
            request.token_for,
            on_bytes=lambda at: self._tell("loading", at),
            on_note=lambda note: self._tell("loading", None, note),
            wait=wait,
        )

    def run(self) -> list[Result]:
        """Fetch each model; one that fails does not stop the others."""
        todo = [model for model in self._request.models if not self._is_there(model)]
        self._sum.sizes = [file.bytes for model in todo for file in model.files]
        return [
            self._one(model) if model in todo else Result(model.place, "there", self._n_bytes(model))
            for model in self._request.models
        ]

    def _one(self, model: WantedModel) -> Result:
        self._progress.line(f"pull: {model.place} from {model.source}")
        answer: Answer | None = None
        try:
            self._fetch(model)
        except OSError as error:
            problem: LabctlError = on_disk(error, self._store.folder)
        except LabctlError as error:
            problem, answer = error, error.answer if isinstance(error, Refused) else None
        else:
            self._progress.line(f"done: {model.place}")
            return Result(model.place, "pulled", self._n_bytes(model))
        self._progress.line(f"failed: {model.place}: {problem}")
        told = problem.to_json()["error"]
        assert isinstance(told, dict)
        said = {"status": answer.status, "headers": answer.headers} if answer else None
        return Result(model.place, "failed", None, told, problem.exit_code, said)

    def _is_there(self, model: WantedModel) -> bool:
        record = self._store.record(model.place)
        if record is None:
            return self._store.by_hand(model.place) is not None
        return self._store.is_whole(record) and same_files(record.files, model.files)

    def _n_bytes(self, model: WantedModel) -> int | None:
        record = self._store.record(model.place)
        return record.n_bytes if record else None

    def _fetch(self, model: WantedModel) -> None:
        store = self._store
        before, staging = store.record(model.place), store.staging(model.place)
        if before is not None and store.is_whole(before):
            raise Failed(
                "another file lies there",
                where=model.place,
                found=before.source,
                expected=model.source,
                hint=f"keep it, or remove it first: labctl models rm {model.place}",
            )
        self._drop_others(model, before, staging)
        record = Record(model.place, model.source, model.folder, model.files)
        store.keep(record)
        staging.mkdir(exist_ok=True)
        self._check_room(model, staging)
        files = []
        for file in model.files:
            done = self._file(model, file, staging)
            files.append(done)
            self._sum.done += done.bytes or 0
            self._sum.sizes[self._sum.sizes.index(file.bytes)] = done.bytes
        store.keep(replace(record, files=tuple(files)))
        self._finish(model, staging)

    def _drop_others(self, model: WantedModel, before: Record | None, staging: Path) -> None:
        """What came of other files than are wanted now. What was sent lies there for this pull."""
        wanted = {file.path: file for file in model.files}
        known = {file.path: file for file in before.files} if before and before.folder == model.folder else {}
        for path in [path for path in staging.rglob("*") if path.is_file()]:
            name = str(path.relative_to(staging)).removesuffix(SENT_OF).removesuffix(PART)
            file = wanted.get(name)
            is_sent = file is not None and file.url is None and file.copied is None
            if not is_sent and (file is None or name not in known or not same_file(known[name], file)):
                path.unlink()

    def _check_room(self, model: WantedModel, staging: Path) -> None:
        """Before the first byte, not at the last."""
        missing = 0
        for file in model.files:
            have = size_of(staging / file.path) or size_of(_part(staging / file.path)) or 0
            if not self._is_moved(model, file):
                missing += max(0, (file.bytes or 0) - have)
        free = self._store.free_bytes()
        if missing > free:
            raise Failed(
                "there is not enough room",
                where=str(self._store.folder),
                found=f"{gib(free)} to use",
                expected=f"{gib(missing)}, and {gib(self._store.reserve_bytes())} left over for others",
                hint="`labctl models list` shows what lies there, `labctl models rm` removes it",
            )

    def _is_moved(self, model: WantedModel, file: WantedFile) -> bool:
        """A part of a split file that got its final name before the pull was cut off."""
        return not model.folder and file.bytes is not None and self._size_there(model, file) == file.bytes

    def _size_there(self, model: WantedModel, file: WantedFile) -> int | None:
        return size_of(self._store.final(model, file))

    def _file(self, model: WantedModel, file: WantedFile, staging: Path) -> WantedFile:
        self._status = Status("loading", model.place, file.path)
        staged = staging / file.path
        part = _part(staged)
        if staged.is_file() and (file.bytes is None or size_of(staged) == file.bytes):
            return replace(file, bytes=size_of(staged))  # verified by the pull that was cut off
        if self._is_moved(model, file):
            return file
        staged.parent.mkdir(parents=True, exist_ok=True)
        resumed = bool(size_of(part))
        try:
            verified = self._bring(file, part)
        except _Damaged:
            if not resumed or file.url is None:
                raise
            # What was there before may have suffered in a power cut; nothing is wrong with the server's yet.
            self._progress.line(f"again: {file.path}, what had come before was damaged")
            verified = self._bring(file, part)
        part.with_name(part.name + SENT_OF).unlink(missing_ok=True)
        rename(part, staged)
        return verified

    def _bring(self, file: WantedFile, part: Path) -> WantedFile:
        if file.url is not None:
            self._downloader.fetch(file, part)
        elif file.copied is not None:
            self._copy(Path(file.copied), part)
        elif size_of(part) is None:
            raise Failed("nothing was sent", where=file.path, hint="run the same command again")
        return self._verified(file, part)

    def _copy(self, source: Path, part: Path) -> None:
        with source.open("rb") as lies, part.open("wb") as out:
            while chunk := lies.read(_CHUNK_BYTES):
                written(out, chunk)
                self._tell("loading", out.tell())

    def _verified(self, file: WantedFile, part: Path) -> WantedFile:
        """Read back from the disk what is there, and hold it against what it should be."""
        size = part.stat().st_size
        sha256, git = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with part.open("rb+") as content:
            while chunk := content.read(_CHUNK_BYTES):
                sha256.update(chunk)
                if file.git_oid:
                    git.update(chunk)
                self._tell("verifying", content.tell())
            content.flush()
            os.fsync(content.fileno())
        compared = [
            (file.bytes, size, "bytes"),
            (file.sha256, sha256.hexdigest(), "SHA-256"),
            (file.git_oid, git.hexdigest(), "git's hash"),
        ]
        for wanted, found, what in compared:
            if wanted is not None and wanted != found:
                part.unlink()
                raise _Damaged(
                    f"the file is not what it should be: other {what}",
                    where=file.path,
                    found=str(found),
                    expected=str(wanted),
                    hint="what came was thrown away; run the same command again, or ask who gave the checksum",
                )
        return replace(file, bytes=size, sha256=sha256.hexdigest())

    def _finish(self, model: WantedModel, staging: Path) -> None:
        at = self._store.at(model.place)
        if model.folder:
            rename(staging, at)
            return
        for file in model.files:
            if (staging / file.path).exists():
                rename(staging / file.path, self._store.final(model, file))
        shutil.rmtree(staging)
        sync_folder(at.parent)

    def _tell(self, phase: Phase, at: int | None, note: str = "") -> None:
        at = self._status.done_bytes - self._sum.done if at is None else at
        self._status = replace(
            self._status, phase=phase, done_bytes=self._sum.done + at, of_bytes=self._sum.all, note=note
        )
        self._progress.now(self._status)


class _Damaged(Failed):
    """What came is not what was wanted; it is removed."""


def gib(n_bytes: int) -> str:
    """For people."""
    return f"{n_bytes / 1024**3:.1f} GiB" if n_bytes >= 1024**3 else f"{n_bytes / 1024**2:.0f} MiB"


def _part(staged: Path) -> Path:
    return staged.with_name(staged.name + PART)


def on_disk(error: OSError, folder: Path) -> Failed:
    """What the system refused, for people."""
    if isinstance(error, PermissionError):
        return Failed(
            "the folder may not be written to by labctl's own user",
            where=str(error.filename or folder),
            expected="a folder of root's, or of labctl-models",
            hint=f"chown labctl-models {folder}, and what of it labctl is to change",
        )
    return Failed("the disk does not do it", where=str(error.filename or folder), found=error.strerror)
