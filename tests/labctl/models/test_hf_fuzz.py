"""Damaged config.json, safetensors headers and index files: a model, or `BadInput`, with bounded work."""

import json
import random
import struct
import tracemalloc
from collections.abc import Callable
from copy import deepcopy

import pytest

from labctl.errors import BadInput
from labctl.models.diffusers_index import model_from_parts
from labctl.models.hf_config import model_from_config
from labctl.models.model import Tensor
from labctl.models.safetensors_header import read_safetensors_header
from labctl.models.safetensors_index import parse_index
from labctl.models.source import BytesInMemory
from tests.labctl.models.true_configs import CONFIGS

FAST, SLOW = 1_000, 20_000
_MOST_BYTES = 64 * 1024 * 1024
_VALUES: list[object] = [
    None, -1, 0, 1, 2, 7, 4096, 2**31, 2**63, 2**80, 1.5, 1e300, "x", "full_attention", "", [], {}, True, False,
    [1, 2], [-1], [None], [[]], ["sliding_attention"], {"a": 1}, {"weights": {"num_bits": 4}}, [2**63], "M*E-",
]  # fmt: skip
_KEYS = [
    "layer_types", "sliding_window", "num_key_value_heads", "head_dim", "quantization_config", "text_config",
    "vision_config", "hybrid_override_pattern", "full_attn_idxs", "mlp_only_layers", "moe_layers", "ssm_cfg",
    "no_rope_layers", "architectures", "model_type", "torch_dtype", "sliding_window_pattern", "num_experts",
    "num_hidden_layers", "kv_lora_rank", "block_ffn_dim_multiplier", "hidden_size_per_layer_input", "n_layer",
]  # fmt: skip
TENSOR: dict[str, object] = {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, 30]}
HEADER: dict[str, object] = {f"model.layers.{number}.w": dict(TENSOR) for number in range(4)}
INDEX: dict[str, object] = {
    "metadata": {"total_size": 60},
    "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"},
}
PIPELINE: dict[str, object] = {
    "_class_name": "FluxPipeline", "transformer": ["diffusers", "F"], "vae": ["diffusers", "A"],
    "tokenizer": [None, None],
}  # fmt: skip
ONE = (Tensor("w", "bf16", (4, 4), 32),)


def changed(chance: random.Random, document: dict[str, object], keys: list[str]) -> None:
    """One value of the object, or of one inside it, is another."""
    inner = [value for value in document.values() if isinstance(value, dict)]
    target = chance.choice([document, *inner])
    target[chance.choice([*target, *keys])] = deepcopy(chance.choice(_VALUES))


def damaged(chance: random.Random, document: dict[str, object], keys: list[str]) -> bytes:
    copy = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 3)):
        changed(chance, copy, keys)
    content = bytearray(json.dumps(copy).encode())
    if chance.random() < 0.2:
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.05:
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def config(chance: random.Random) -> object:
    document = CONFIGS[chance.choice(list(CONFIGS))]
    tensors = ONE if chance.random() < 0.3 else ()
    return model_from_config("m", damaged(chance, document, _KEYS), tensors)


def header(chance: random.Random) -> object:
    content = damaged(chance, HEADER, ["dtype", "shape", "data_offsets", "__metadata__"])
    length = len(content) if chance.random() < 0.8 else chance.choice([0, 1, 2**31, 2**63, len(content) + 1])
    return read_safetensors_header(BytesInMemory("m", struct.pack("<Q", length) + content + bytes(30)))


def index(chance: random.Random) -> object:
    return parse_index("m", damaged(chance, INDEX, ["weight_map", "metadata", "total_size"]))


def pipeline(chance: random.Random) -> object:
    return model_from_parts("m", damaged(chance, PIPELINE, ["transformer", "../x"]), {"vae": ONE})


READERS: list[Callable[[random.Random], object]] = [config, header, index, pipeline]


def survive(read: Callable[[random.Random], object], seed: int, count: int) -> int:
    """How many were read. Every other ended in `BadInput`, and none took much memory or many words."""
    chance = random.Random(seed)
    found = longest = 0
    tracemalloc.start()
    try:
        for _ in range(count):
            try:
                read(chance)
            except BadInput as refused:
                longest = max(longest, len(str(refused)))
                continue
            found += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _MOST_BYTES
    assert longest < 1000
    return found


@pytest.mark.parametrize("read", READERS)
def test_damaged_files_end_cleanly(read: Callable[[random.Random], object]) -> None:
    assert FAST // 100 < survive(read, seed=1, count=FAST) < FAST - FAST // 100


@pytest.mark.nightly
@pytest.mark.parametrize("read", READERS)
def test_many_damaged_files_end_cleanly(read: Callable[[random.Random], object]) -> None:
    survive(read, seed=2, count=SLOW)


def test_a_shape_without_end_takes_no_time() -> None:
    endless = {"a": {**TENSOR, "shape": [2**61] * 300_000}}
    content = json.dumps(endless).encode()
    with pytest.raises(BadInput, match="impossible shape"):
        read_safetensors_header(BytesInMemory("m", struct.pack("<Q", len(content)) + content + bytes(30)))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"num_hidden_layers": 1' + b"0" * 5000 + b"}",
        b'{"num_hidden_layers": NaN, "hidden_size": Infinity}',
        b'{"num_hidden_layers": Infinity}',
        b"\xff\xfe{}",
        b"{" + b" " * (5 * 1024**2) + b"}",
    ],
)
def test_hostile_json_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        model_from_config("m", content)
