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
