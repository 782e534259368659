"""config.json or model_index.json, and the weights beside it, as a model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from labctl.edges.model_sources import ReadModel, Repository, content_of, read_each
from labctl.models.diffusers_index import model_from_parts, parts_of
from labctl.models.hf_config import model_from_config
from labctl.models.json_object import MAX_CONFIG_BYTES
from labctl.models.model import Tensor
from labctl.models.safetensors_header import read_safetensors_header
from labctl.models.safetensors_index import MAX_INDEX_BYTES, parse_index, weights_among

_PICKLES = (".bin", ".pth", ".pt")
# What sentence-transformers keeps beside a model that it makes embeddings with.
_EMBEDS = frozenset({"modules.json", "config_sentence_transformers.json"})


def read_config(repository: Repository) -> ReadModel:
    """The model of config.json, with its weights as far as they can be seen. Raises `BadInput` for damaged files."""
    config = content_of(repository, "config.json", MAX_CONFIG_BYTES)
    tensors, n_bytes, n_files, note = _weights(repository, "")
    model = model_from_config(f"{repository.name}/config.json", config, tensors, n_bytes)
    if model.kind == "llm" and _EMBEDS & set(repository.sizes):
        model = replace(model, kind="embedding")
    return ReadModel(
        replace(model, name=repository.title, n_files=n_files, notes=(*model.notes, *note)), repository.name
    )


def read_pipeline(repository: Repository) -> ReadModel:
    """The pipeline of model_index.json, part by part. Raises `BadInput` for damaged files."""
    index = content_of(repository, "model_index.json", MAX_CONFIG_BYTES)
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
            f"{repository.name}/{weights.index}", content_of(repository, weights.index, MAX_INDEX_BYTES)
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
            tensor for table in read_each(repository, shards, read_safetensors_header) for tensor in table
        )
        return tensors, sum(tensor.n_bytes for tensor in tensors), len(shards), ()
    pickles = [name for name in sizes if name.startswith(folder) and _is_pickle(name[len(folder) :])]
    if pickles:
        note = (
            f"{pickles[0]}: pickled weights have no header, so sizes are the files' and shapes the config's"
        )
        return (), sum(sizes[name] for name in pickles), len(pickles), (note,)
    return (), 0, 0, ()


def has_weights(sizes: Mapping[str, int]) -> bool:
    """Whether there are weights beside config.json that are no GGUF."""
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
