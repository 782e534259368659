"""Which files of a directory or of a hub repository make the model, and the model that they make."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from labctl.errors import BadInput
from labctl.models.diffusers_index import model_from_parts, parts_of
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.gguf_names import GgufFile, check_complete, choose, gguf_files, projector_order
from labctl.models.hf_config import model_from_config
from labctl.models.json_object import MAX_CONFIG_BYTES, parse_object
from labctl.models.model import Model, Tensor
from labctl.models.safetensors_header import read_safetensors_header
from labctl.models.safetensors_index import MAX_INDEX_BYTES, parse_index, weights_among
from labctl.models.source import ByteSource

Read = TypeVar("Read")
_PICKLES = (".bin", ".pth", ".pt")
# What sentence-transformers keeps beside a model that it makes embeddings with.
_EMBEDS = frozenset({"modules.json", "config_sentence_transformers.json"})
# A large model has 200 shards: one after the other they would take a minute over the network.
_AT_ONCE = 8


class Repository(Protocol):
    """Files by name. name: for messages. title: what the model is called. remote: reading takes round trips."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def remote(self) -> bool: ...

    @property
    def sizes(self) -> Mapping[str, int]: ...

    def open(self, file: str) -> AbstractContextManager[ByteSource]: ...


@dataclass(frozen=True)
class ReadModel:
    """A model, and what lay beside it.

    where: what to print of its origin. companions: vision projectors (mmproj) that are loaded with it. choices: the
    quantizations to choose from and the bytes of each, where there are any. chosen: nobody said which, so it is
    the usual one.
    """

    model: Model
    where: str
    companions: tuple[Model, ...] = ()
    choices: Mapping[str, int] = field(default_factory=dict, hash=False)
    chosen: bool = False


def read_repository(repository: Repository, quant: str | None = None, file: str | None = None) -> ReadModel:
    """The model in a repository: the GGUF `file`, or the GGUF of this quantization, or what the directory holds.

    Raises `BadInput` where there is none, or where it is not clear which.
    """
    sizes = repository.sizes
    ggufs = tuple(each for each in gguf_files(sizes) if not each.projector)
    if file is not None:
        if file not in sizes:
            raise _no_such_file(repository, file, ggufs)
        # Ollama's blobs are GGUF files without the suffix.
        whole = GgufFile(file, "", (file,), projector=False)
        asked = next((each for each in gguf_files(sizes) if file in each.parts), whole)
        return _read_gguf(repository, asked, ())
    if quant is not None:
        found = choose(ggufs, quant, sizes)
        if found is None:
            raise _no_such_quant(repository, quant, ggufs)
        return _read_gguf(repository, found, ggufs)
    if "model_index.json" in sizes:
        return _read_pipeline(repository)
    if "config.json" in sizes and (not ggufs or _has_weights(sizes)):
        return replace(_read_config(repository), choices=_choices(ggufs, sizes))
    if not ggufs:
        raise _nothing_here(repository)
    if len(ggufs) > 1 and not repository.remote:
        raise BadInput(
            "this directory holds several models",
            where=repository.name,
            found=_listed(ggufs, sizes),
            expected="one",
            hint=f"name the file, or {repository.name}:{ggufs[0].label}",
        )
    usual = choose(ggufs, None, sizes)
    assert usual is not None
    return replace(_read_gguf(repository, usual, ggufs), chosen=len(ggufs) > 1)


def _read_gguf(repository: Repository, file: GgufFile, others: Sequence[GgufFile]) -> ReadModel:
    model = _gguf_model(repository, file)
    return ReadModel(
        model,
        f"{repository.name}/{file.parts[0]}",
        () if file.projector else _projector(repository, file, model),
        _choices(others, repository.sizes),
    )


def _gguf_model(repository: Repository, file: GgufFile) -> Model:
    check_complete(file, repository.sizes, repository.name)
    return model_from_gguf(_each(repository, file.parts, read_gguf_header))


def _projector(repository: Repository, file: GgufFile, model: Model) -> tuple[Model, ...]:
    """The projector in the same folder that fits the model's width; of several the usual one."""
    folder = file.parts[0].rpartition("/")[0]
    candidates = [
        each
        for each in gguf_files(repository.sizes)
        if each.projector and each.parts[0].rpartition("/")[0] in (folder, "")
    ]
    for each in sorted(candidates, key=projector_order):
        try:
            projector = _gguf_model(repository, each)
        except BadInput:  # no engine can load it either
            continue
        width = projector.metadata.get("clip.vision.projection_dim", model.n_embd)
        if projector.kind == "mmproj" and width == model.n_embd:
            return (projector,)
    return ()


def _read_config(repository: Repository) -> ReadModel:
    config = _content(repository, "config.json", MAX_CONFIG_BYTES)
    tensors, n_bytes, n_files, note = _weights(repository, "")
    model = model_from_config(f"{repository.name}/config.json", config, tensors, n_bytes)
    if model.kind == "llm" and _EMBEDS & set(repository.sizes):
        model = replace(model, kind="embedding")
    return ReadModel(
        replace(model, name=repository.title, n_files=n_files, notes=(*model.notes, *note)), repository.name
    )


def _read_pipeline(repository: Repository) -> ReadModel:
    index = _content(repository, "model_index.json", MAX_CONFIG_BYTES)
    tensors: dict[str, Sequence[Tensor]] = {}
    notes: list[str] = []
    missing = n_files = 0
    for part in parts_of(f"{repository.name}/model_index.json", index):
        tensors[part], n_bytes, count, note = _weights(repository, f"{part}/")
        missing += 0 if tensors[part] else n_bytes
        n_files += count
        notes += note
    model = model_from_parts(f"{repository.name}/model_index.json", index, tensors)
    return ReadModel(
        replace(
            model,
            name=repository.title,
            n_files=n_files,
            file_bytes=model.file_bytes + missing,
            notes=(*model.notes, *notes),
        ),
        repository.name,
    )


def _weights(repository: Repository, folder: str) -> tuple[tuple[Tensor, ...], int, int, tuple[str, ...]]:
    """Tensors, bytes, files and what to say of them. No tensors: only the size is known, or nothing."""
    sizes = repository.sizes
    weights = weights_among(sizes, folder)
    if weights.index is not None:
        index = parse_index(
            f"{repository.name}/{weights.index}", _content(repository, weights.index, MAX_INDEX_BYTES)
        )
        shards = [folder + shard for shard in index.shards]
        missing = [shard for shard in shards if shard not in sizes]
        if missing:
            note = (
                f"{len(missing)} of {len(shards)} files are not here ({missing[0]} …): sizes are the index's"
            )
            return (), index.total_bytes, len(shards), (note,)
    else:
        shards = list(weights.files)
    if shards:
        tensors = tuple(
            tensor for table in _each(repository, shards, read_safetensors_header) for tensor in table
        )
        return tensors, sum(tensor.n_bytes for tensor in tensors), len(shards), ()
    pickles = [name for name in sizes if name.startswith(folder) and _is_pickle(name[len(folder) :])]
    if pickles:
        note = (
            f"{pickles[0]}: pickled weights have no header, so sizes are the files' and shapes the config's"
        )
        return (), sum(sizes[name] for name in pickles), len(pickles), (note,)
    return (), 0, 0, ()


def _each(repository: Repository, files: Sequence[str], read: Callable[[ByteSource], Read]) -> list[Read]:
    def one(name: str) -> Read:
        with repository.open(name) as source:
            return read(source)

    if not repository.remote or len(files) == 1:
        return [one(name) for name in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = [pool.submit(one, name) for name in files]
        try:
            return [task.result() for task in tasks]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _content(repository: Repository, file: str, most: int) -> bytes:
    """A whole small file, one byte more at most than it may have."""
    with repository.open(file) as source:
        return source.read(0, min(source.size, most + 1))


def _has_weights(sizes: Mapping[str, int]) -> bool:
    found = weights_among(sizes)
    return bool(found.index or found.files) or any(map(_is_pickle, sizes))


def _is_pickle(name: str) -> bool:
    """Weights as torch saves them, without an optimizer's state and the like."""
    return (
        "/" not in name
        and name.endswith(_PICKLES)
        and name.startswith(
            ("pytorch_model", "model", "diffusion_pytorch_model", "consolidated", "rwkv", "RWKV")
        )
    )


def _choices(files: Sequence[GgufFile], sizes: Mapping[str, int]) -> dict[str, int]:
    return {each.label: each.n_bytes(sizes) for each in files}


def _listed(files: Sequence[GgufFile], sizes: Mapping[str, int]) -> str:
    names = [f"{each.parts[0]} ({each.n_bytes(sizes) / 1e9:.1f} GB)" for each in files]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _no_such_file(repository: Repository, file: str, ggufs: Sequence[GgufFile]) -> BadInput:
    return BadInput(
        "there is no such GGUF file",
        where=repository.name,
        found=file,
        expected=_listed(ggufs, repository.sizes) or "a .gguf file, of which it has none",
        hint="name one of these",
    )


def _no_such_quant(repository: Repository, quant: str, ggufs: Sequence[GgufFile]) -> BadInput:
    labels = [each.label for each in ggufs]
    return BadInput(
        "there is no GGUF of this quantization",
        where=repository.name,
        found=quant,
        expected=", ".join(labels[:40]) if labels else "none: it has no .gguf files",
        hint="name one of these" if labels else "name it without `:…`",
    )


def _nothing_here(repository: Repository) -> BadInput:
    sizes = repository.sizes
    if "adapter_config.json" in sizes:
        config = parse_object(
            "adapter_config.json", _content(repository, "adapter_config.json", MAX_CONFIG_BYTES)
        )
        base = str(config.get("base_model_name_or_path") or "the model that it was trained on")[:200]
        return BadInput(
            "this is an adapter (LoRA), not a model",
            where=repository.name,
            found="adapter_config.json",
            expected="config.json or a .gguf file",
            hint=f"name its base model: {base}",
        )
    seen = sorted(sizes)
    return BadInput(
        "there is no model here",
        where=repository.name,
        found=", ".join(seen[:5]) + (" …" if len(seen) > 5 else "") if seen else "no files",
        expected="a .gguf file, config.json or model_index.json",
        hint="name the directory or repository that holds one of these",
    )
