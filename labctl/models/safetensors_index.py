"""model.safetensors.index.json: which files a model's weights lie in.

Format: https://huggingface.co/docs/huggingface_hub/package_reference/serialization (index of a sharded model).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.models.json_object import parse_object

# DeepSeek-V3's has 9 MB, Kimi K2's 15.
MAX_INDEX_BYTES = 24 * 1024 * 1024
MAX_SHARDS = 4096
_SUFFIX = ".safetensors"
# Another precision beside the plain weights: model.fp16.safetensors, model.fp16-00001-of-00002.safetensors.
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|fp8|non_ema|ema|int8)(?=[.-])")
# Weights of another program, or parts that are loaded onto a model.
_NOT_WEIGHTS = re.compile(r"^(consolidated|adapter_model|optimizer|scheduler|training_)")


@dataclass(frozen=True)
class Index:
    """shards: the files in order. total_bytes: of all tensors; 0 where the index does not say."""

    shards: tuple[str, ...]
    total_bytes: int


@dataclass(frozen=True)
class Weights:
    """Where the weights of one folder are: an index, or these files. Both empty where there are none."""

    index: str | None
    files: tuple[str, ...]


def parse_index(name: str, content: bytes) -> Index:
    """Shards and size. Raises `BadInput` where it is none, or names files outside its folder."""
    table = parse_object(name, content, MAX_INDEX_BYTES)
    weight_map = table.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadInput("this is no index of weights", where=name, expected="weight_map: tensor → file")
    shards = {str(shard) for shard in weight_map.values()}
    wrong = [shard for shard in shards if not _is_plain(shard)]
    if wrong or len(shards) > MAX_SHARDS:
        raise BadInput(
            "the files in this index cannot be meant",
            where=f"{name}: weight_map",
            found=wrong[0][:80] if wrong else f"{len(shards)} files",
            expected=f"at most {MAX_SHARDS} names that end in {_SUFFIX}",
            hint="fetch the file again",
        )
    metadata = table.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    whole = isinstance(total, int | float) and 0 <= total < 2**62
    return Index(tuple(sorted(shards)), int(total) if whole and total is not None else 0)


def weights_among(sizes: Mapping[str, int], folder: str = "") -> Weights:
    """The safetensors of one folder, plain before other precisions; the index where there is one."""
    here = [
        name
        for name in sorted(sizes)
        if name.startswith(folder)
        and "/" not in name[len(folder) :]
        and not _NOT_WEIGHTS.match(name[len(folder) :])
    ]
    indexes = [name for name in here if ".safetensors.index" in name and name.endswith(".json")]
    files = [name for name in here if name.endswith(_SUFFIX)]
    plain_indexes, plain_files = _plain(indexes), _plain(files)
    if plain_indexes:
        return Weights(plain_indexes[0], ())
    if plain_files:
        named = [name for name in plain_files if name[len(folder) :] in _USUAL]
        return Weights(None, tuple(named[:1] or plain_files))
    if indexes:
        return Weights(indexes[0], ())
    return Weights(None, tuple(files))


# Alone, these hold everything.
_USUAL = frozenset({"model.safetensors", "diffusion_pytorch_model.safetensors"})


def _plain(names: Iterable[str]) -> list[str]:
    return [
        name
        for name in names
        if not _VARIANT.search(name.rsplit("/", 1)[-1]) and not re.search(r"index\.\w+\.json$", name)
    ]


def _is_plain(shard: str) -> bool:
    return shard.endswith(_SUFFIX) and "/" not in shard and "\\" not in shard and not shard.startswith(".")
