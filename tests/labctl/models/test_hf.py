"""config.json, safetensors headers and diffusers directories."""

import json
import struct

import pytest

from labctl.errors import BadInput
from labctl.models.diffusers_index import model_from_parts, parts_of
from labctl.models.hf_config import model_from_config
from labctl.models.model import Tensor
from labctl.models.safetensors_header import read_safetensors_header
from labctl.models.source import BytesInMemory
from tests.labctl.models.published_configs import PUBLISHED
from tests.labctl.models.true_configs import CONFIGS

# From each model's published config.json.
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "intermediate_size": 14336,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "num_hidden_layers": 61, "hidden_size": 7168, "num_attention_heads": 128,
    "num_key_value_heads": 128, "vocab_size": 129280, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "quantization_config": {"quant_method": "fp8"},
}  # fmt: skip
GEMMA = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text", "num_hidden_layers": 62, "hidden_size": 5376, "num_attention_heads": 32,
        "num_key_value_heads": 16, "head_dim": 128, "vocab_size": 262208, "intermediate_size": 21504,
        "sliding_window": 1024, "tie_word_embeddings": True,
    },
}  # fmt: skip


def encoded(config: object) -> bytes:
    return json.dumps(config).encode()


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_that_are_published_with_the_config(name: str) -> None:
    billions, config = PUBLISHED[name]
    found = model_from_config(name, encoded(config))
    assert found.parameters.total / 1e9 == pytest.approx(billions, rel=0.012)
    assert found.confidence == "medium"


def test_windows_and_states_are_those_of_the_architecture() -> None:
    def windows(name: str) -> list[int | None]:
        layers = model_from_config(name, encoded(PUBLISHED[name][1])).layers
        return [layer.attention.window for layer in layers if layer.attention]

    assert windows("gemma-3-4b")[:6] == [1024] * 5 + [None]
    assert windows("modernbert-base")[:3] == [None, 128, 128]
    assert windows("falcon-mamba-7b") == []


@pytest.mark.parametrize(("config", "billions"), [(LLAMA, 8.03), (DEEPSEEK, 671.0), (GEMMA, 27.0)])
def test_parameters_are_those_that_are_published(config: dict[str, object], billions: float) -> None:
    found = model_from_config("m", encoded(config))
    assert found.parameters.total / 1e9 == pytest.approx(billions, rel=0.001)


def test_layers_are_read_one_by_one() -> None:
    gemma = model_from_config("m", encoded(GEMMA))
    windows = [layer.attention.window for layer in gemma.layers if layer.attention]
    assert windows[:6] == [1024] * 5 + [None]
    deepseek = model_from_config("m", encoded(DEEPSEEK))
    assert [bool(layer.experts) for layer in deepseek.layers[:5]] == [False, False, False, True, True]
    assert deepseek.layers[0].attention is not None
    assert deepseek.layers[0].attention.head_dim_k == 576
    assert deepseek.quant == "fp8"


def test_blocks_are_read_one_by_one() -> None:
    block: dict[str, object] = {"attention": {"n_heads_in_group": 8}, "ffn": {"ffn_mult": 5.25}}
    config = {
        "model_type": "nemotron-nas", "num_hidden_layers": 80, "hidden_size": 8192, "num_attention_heads": 64,
        "num_key_value_heads": None, "intermediate_size": None, "vocab_size": 128256, "tie_word_embeddings": False,
    }  # fmt: skip
    found = model_from_config("m", encoded({**config, "block_configs": [block] * 80}))
    assert found.layers == model_from_config("m", encoded(CONFIGS["llama-3.1-70b"])).layers
    without = {"attention": {"no_op": True}, "ffn": {"replace_with_linear": True}}
    found = model_from_config("m", encoded({**config, "block_configs": [without] * 10 + [block] * 70}))
    assert (found.layers[9].attention, found.layers[9].ff_size) == (None, 0)
    assert found.layers[10].attention
    with pytest.raises(BadInput, match="blocks of this model"):
        model_from_config("m", encoded({**config, "block_configs": [block] * 79}))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "32", 2**50, [1.5], float("nan"), float("inf")])
def test_a_size_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match="cannot be meant"):
        model_from_config("m", encoded({**LLAMA, "num_hidden_layers": value}))


def safetensors(table: object, data: int) -> bytes:
    head = encoded(table)
    return struct.pack("<Q", len(head)) + head + bytes(data)


TENSOR: dict[str, object] = {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, 30]}
ONE: dict[str, object] = {"a": TENSOR, "__metadata__": {"format": "pt"}}


def test_a_safetensors_header_is_read() -> None:
    assert read_safetensors_header(BytesInMemory("m", safetensors(ONE, 30))) == (
        Tensor("a", "bf16", (5, 3), 30),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 16,
        safetensors(ONE, 29),
        safetensors([], 0),
        safetensors({"a": 1}, 0),
        safetensors({"a": {**TENSOR, "dtype": "X"}}, 30),
        safetensors({"a": {**TENSOR, "shape": [-1]}}, 30),
        safetensors({"a": {**TENSOR, "data_offsets": [0, 31]}}, 31),
        struct.pack("<Q", 20000) + b"[" * 20000,
    ],
)
def test_a_damaged_safetensors_header_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        read_safetensors_header(BytesInMemory("m", content))


INDEX = {
    "_class_name": "FluxPipeline",
    "transformer": ["diffusers", "F"],
    "vae": ["diffusers", "A"],
    "x": [None, None],
}


def test_a_diffusers_directory_is_its_parts() -> None:
    assert parts_of("m", encoded(INDEX)) == ("transformer", "vae")
    one = (Tensor("w", "bf16", (4, 4), 32),)
    found = model_from_parts("m", encoded(INDEX), {"transformer": one, "vae": one})
    assert (found.kind, found.parameters.layers, found.parameters.other, found.file_bytes) == (
        "diffusion",
        16,
        16,
        64,
    )
    with pytest.raises(BadInput):
        parts_of("m", encoded({"../vae": ["diffusers", "A"]}))
