"""Where a model's files come from: the hub, an address, this machine, the host itself; and which files these are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labctl.edges import catalog
from labctl.edges.model_reader import NameOnHub, on_the_hub
from labctl.errors import BadInput
from labctl.model_store.request import WantedFile, WantedModel, plain
from labctl.models.catalogue import ModelRecord
from labctl.models.gguf_names import (
    GgufFile,
    check_complete,
    choose,
    gguf_files,
    parts_beside,
    projector_order,
)
from labctl.models.snapshot import snapshot
from labctl.place.rules import STORED_AS
from labctl.render.model_need import NeededModel

if TYPE_CHECKING:
    from labctl.edges.hub import HubRepository

ON_HOST = "host:"
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CHUNK_BYTES = 4 * 1024**2
# Engines make one of them of another as they load it.
_WHOLE_NUMBERS = ("bf16", "fp16", "fp32")


@dataclass(frozen=True)
class Origin:
    """A model that is to be on a host. sent: files of this machine that go there first, by their path in the model.

    token: of the hub, for `endpoint`; None where it comes from elsewhere, or nobody gave one. repository: its name.
    """

    wanted: WantedModel
    sent: Mapping[str, Path] = field(default_factory=dict)
    token: str | None = None
    endpoint: str | None = None
    repository: str | None = None


def origin(
    need: NeededModel,
    said: str | None,
    sha256: str | None,
    on_host: Callable[[str], Mapping[str, int]],
) -> Origin:
    """Where the model comes from. said: what `--from` says; without it, what the model's name says.

    on_host: the files of a path on the host, with their bytes; under `.` where it is one file.
    Raises BadInput where that names nothing, or not one model; Failed where the hub cannot be asked.
    """
    text = said if said is not None else need.model
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise BadInput("this is no SHA-256", where="--sha256", found=sha256[:80], expected="64 hex digits")
    if text.startswith(("http://", "https://")) and not _is_page_of_hub(text):
        return _of_address(need, text, sha256)
    if sha256 is not None:
        raise BadInput(
            "--sha256 belongs to an address",
            where="--sha256",
            found=f"--from {said}",
            hint="leave it out: what comes from elsewhere is verified by its own checksum",
        )
    if text.startswith(ON_HOST):
        path = text.removeprefix(ON_HOST)
        return Origin(_listed(need, PurePosixPath(path), text, on_host(path)))
    if _is_path(text):
        return _of_this_machine(need, Path(text).expanduser())
    return _of_hub(need, _on_hub(need, text))


def is_folder(need: NeededModel) -> bool:
    """Whether a model is a folder of files, not a file."""
    return not need.place.endswith(".gguf")


def _of_address(need: NeededModel, url: str, sha256: str | None) -> Origin:
    if sha256 is None:
        raise BadInput(
            "an address needs a checksum, or nobody could tell what came",
            where="--from",
            found=plain(url),
            expected="--sha256 HEX",
            hint="whoever offers the file says it; `sha256sum FILE` of a copy you trust does as well",
        )
    if urlsplit(url).username is not None or urlsplit(url).password is not None:
        raise BadInput("a login does not belong in an address", where="--from", found=plain(url))
    name = PurePosixPath(need.place if not is_folder(need) else urlsplit(url).path).name
    if not name:
        raise BadInput("this address names no file", where="--from", found=plain(url))
    file = WantedFile(name, sha256=sha256.lower(), url=url)
    return Origin(WantedModel(need.place, plain(url), (file,), is_folder(need)))


def _of_this_machine(need: NeededModel, path: Path) -> Origin:
    if not path.exists():
        raise BadInput(
            "there is no such file or folder on this machine",
            where="--from",
            found=str(path),
            hint=f"is it on the host? Then: --from {ON_HOST}{path}",
        )
    wanted = _listed(need, PurePosixPath(path), f"{path.name}, sent", _sizes(path))
    sent: dict[str, Path] = {}
    files = []
    for file in wanted.files:
        local = Path(file.copied or "")
        files.append(WantedFile(file.path, file.bytes, sha256_of(local)))
        sent[file.path] = local
    return Origin(WantedModel(wanted.place, wanted.source, tuple(files), wanted.folder), sent)


def sha256_of(path: Path) -> str:
    """Of a file of this machine, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sizes(path: Path) -> dict[str, int]:
    if path.is_file():
        beside = [path.with_name(PurePosixPath(part).name) for part in parts_beside(path.name)]
        there = {".": path.stat().st_size}
        return there | {each.name: each.stat().st_size for each in beside if each.is_file()}
    return {
        str(each.relative_to(path)): each.stat().st_size
        for each in path.rglob("*")
        if each.is_file() and not any(part.startswith(".") for part in each.relative_to(path).parts)
    }


def _listed(need: NeededModel, path: PurePosixPath, source: str, sizes: Mapping[str, int]) -> WantedModel:
    """Of a file (`.`) or a folder; `copied` of each file says where it lies, on whatever machine."""
    folder = is_folder(need)
    if not sizes:
        raise BadInput("there is no such file or folder on the host", where="--from", found=str(path))
    if "." not in sizes and not folder:
        raise BadInput(
            "a folder is given, and the engine wants a file",
            where="--from",
            found=str(path),
            expected=f"a .gguf file for {need.engine}",
        )
    if "." not in sizes:
        names = {name: name for name in sizes}
        at = path
    else:
        parts = parts_beside(path.name)
        check_complete(GgufFile("", "", parts, projector=False), {**sizes, path.name: 0}, str(path.parent))
        names = {part: part if folder else named for part, named in _named(need, parts).items()}
        at = path.parent
    files = tuple(
        WantedFile(to, sizes.get(name, sizes.get(".")), copied=str(at / name)) for name, to in names.items()
    )
    return WantedModel(need.place, source, files, folder)


def _named(need: NeededModel, parts: tuple[str, ...]) -> dict[str, str]:
    """What the files of a GGUF are called in the end: a split one keeps its numbers, by which it is loaded."""
    name = PurePosixPath(need.place).name
    if len(parts) == 1:
        return {parts[0]: name}
    stem = name.removesuffix(".gguf")
    return {part: f"{stem}-{number:05}-of-{len(parts):05}.gguf" for number, part in enumerate(parts, start=1)}


def _of_hub(need: NeededModel, named: NameOnHub) -> Origin:
    from labctl.edges.hub import (
        HubRepository,  # brings TLS, which pyinfra has to patch before anybody loads it
    )

    repository = HubRepository(named.repository, named.revision)
    try:
        files = repository.files
    except BadInput as error:
        near = [each for each in repository.near() if each != named.repository]
        if near:
            error.hint = f"is it one of {', '.join(near)}?" + (f" Or: {error.hint}" if error.hint else "")
        raise
    if need.is_projector:
        chosen = _projector(need, repository)
    elif not is_folder(need) or _is_gguf(need.quant):
        chosen = _gguf(need, named, repository)
    else:
        names = snapshot(files)
        if not names:
            raise BadInput(
                f"there are no weights for {need.engine or 'this engine'} here",
                where=repository.name,
                found=", ".join(sorted(files)[:5]) or "no files",
                expected=".safetensors files",
                hint="name another repository: --from org/name",
            )
        chosen = {name: name for name in names}
    wanted = WantedModel(
        place=need.place,
        source=f"{repository.name} at {(repository.commit or '')[:12]}",
        files=tuple(
            WantedFile(to, files[name].bytes, files[name].sha256, files[name].git_oid, repository.url(name))
            for name, to in chosen.items()
        ),
        folder=is_folder(need),
    )
    return Origin(wanted, token=repository.token, endpoint=repository.endpoint, repository=repository.name)


def _gguf(need: NeededModel, named: NameOnHub, repository: HubRepository) -> dict[str, str]:
    sizes = repository.sizes
    ggufs = [each for each in gguf_files(sizes) if not each.projector]
    if named.quant and need.quant and named.quant.upper() != need.quant.upper():
        raise BadInput(
            "two quantizations are named",
            where=repository.name,
            found=f"{named.quant}, {need.quant}",
            hint="name one of them",
        )
    quant = named.quant or need.quant or None
    if named.file is not None:
        found = next((each for each in ggufs if named.file in each.parts), None)
    else:
        found = choose(ggufs, quant, sizes)
    if found is None:
        labels = [each.label for each in ggufs]
        raise BadInput(
            "there is no GGUF of this quantization",
            where=repository.name,
            found=named.file or quant or "no .gguf file",
            expected=", ".join(labels[:40]) if labels else "none: it has no .gguf files",
            hint="name one of these with --quant" if labels else "name another repository: --from org/name",
        )
    check_complete(found, sizes, repository.name)
    if is_folder(need):
        return {part: PurePosixPath(part).name for part in found.parts}
    return _named(need, found.parts)


def _projector(need: NeededModel, repository: HubRepository) -> dict[str, str]:
    found = sorted((each for each in gguf_files(repository.sizes) if each.projector), key=projector_order)
    if not found:
        raise BadInput(
            "what lets this model see is not here",
            where=repository.name,
            expected="an mmproj file",
            hint=f"labctl models pull {need.place} --from FILE, or `vision: no` for the workload",
        )
    return {found[0].parts[0]: PurePosixPath(need.place).name}


def _on_hub(need: NeededModel, text: str) -> NameOnHub:
    """What of the hub is meant by a name of the catalogue, or one of the hub's own."""
    named = on_the_hub(text)
    record = _record(text)
    if record is None and named is not None:
        return named
    if record is None:
        if catalog.kind(text) is None:
            catalog.model_record(text)  # which says what comes near
        raise _nowhere(need)
    wants_gguf = not is_folder(need) or _is_gguf(need.quant)
    if wants_gguf and record.hub.gguf:
        return NameOnHub(record.hub.gguf)
    if named is not None:
        return named
    if not wants_gguf and record.hub.published and _is_as_published(need.quant, record):
        return NameOnHub(record.hub.published)
    raise _nowhere(need)


def _is_as_published(quant: str, record: ModelRecord) -> bool:
    """Whether the maker's own files have this format. quant: by any of its names, empty where any will do."""
    stored = STORED_AS.get(quant.lower())
    own = record.hub.published_as
    return not quant or (stored == own if own else stored in _WHOLE_NUMBERS)


def _nowhere(need: NeededModel) -> BadInput:
    return BadInput(
        "the catalogue does not know where this lies on the hub",
        where=need.model,
        found=f"{need.quant or 'no quantization'} for {need.engine}",
        hint=f"say it: labctl models pull {need.model} --quant {need.quant} --engine {need.engine} --from org/name",
    )


def _record(name: str) -> ModelRecord | None:
    try:
        return catalog.model_record(name)
    except BadInput:
        return None


def _is_gguf(quant: str) -> bool:
    try:
        return bool(quant) and catalog.quantization(quant).container == "gguf"
    except BadInput:
        return False


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or Path(text).exists()


def _is_page_of_hub(text: str) -> bool:
    host = urlsplit(text).hostname or ""
    return host.removeprefix("www.") in ("huggingface.co", "hf.co") and on_the_hub(text) is not None
