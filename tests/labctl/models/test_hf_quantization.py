"""Quantized weights of Hugging Face's: the name people use, what they weigh, and how many parameters they are."""

import json
from typing import Any

import pytest

from labctl.models.hf_config import model_from_config
from labctl.models.model import Model, Tensor

# One layer of Llama-3.1-8B without the rest: 218,112,000 parameters but for norms.
WIDTH, FF, VOCAB = 4096, 14336, 1024
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 1, "hidden_size": WIDTH, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": VOCAB, "intermediate_size": FF, "tie_word_embeddings": True,
}  # fmt: skip
MATRICES = {
    "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH, 1024), "self_attn.v_proj": (WIDTH, 1024),
    "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (WIDTH, FF), "mlp.up_proj": (WIDTH, FF),
    "mlp.down_proj": (FF, WIDTH),
}  # fmt: skip
LINEAR = sum(rows * columns for rows, columns in MATRICES.values())
EMBEDDING = Tensor("model.embed_tokens.weight", "bf16", (WIDTH, VOCAB), 2 * WIDTH * VOCAB)
BYTES = {"bf16": 2, "f16": 2, "i32": 4, "u8": 1, "i8": 1, "f8_e4m3": 1, "f32": 4, "i64": 8}


def made(*parts: tuple[str, str, float]) -> list[Tensor]:
    """Per matrix: suffix, dtype, and how many elements for each weight."""
    tensors = [EMBEDDING]
    for name, (rows, columns) in MATRICES.items():
        for suffix, dtype, share in parts:
            n = max(1, int(rows * columns * share))
            tensors.append(Tensor(f"model.layers.0.{name}{suffix}", dtype, (n,), n * BYTES[dtype]))
    return tensors


def read(quantization: dict[str, Any] | None, tensors: list[Tensor]) -> Model:
    return model_from_config(
        "m", json.dumps({**CONFIG, "quantization_config": quantization}).encode(), tensors
    )


PACKED = {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}}
FLOAT8 = {"group_0": {"weights": {"num_bits": 8, "type": "float"}}}
FORMATS = [
    ("bf16", None, made((".weight", "bf16", 1)), 16.0),
    ("fp8", {"quant_method": "fp8"}, made((".weight", "f8_e4m3", 1), (".weight_scale_inv", "f32", 1 / 16384)), 8.0),
    (
        "awq-int4", {"quant_method": "awq", "bits": 4, "group_size": 128},
        made((".qweight", "i32", 1 / 8), (".qzeros", "i32", 1 / 1024), (".scales", "f16", 1 / 128)), 4.16,
    ),
    (
        "gptq-int4", {"quant_method": "gptq", "bits": 4},
        made(
            (".qweight", "i32", 1 / 8), (".qzeros", "i32", 1 / 1024), (".scales", "f16", 1 / 128),
            (".g_idx", "i32", 0),
        ),
        4.16,
    ),
    (
        "gptq-int8", {"quant_method": "gptq", "bits": 8},
        made((".qweight", "i32", 1 / 4), (".qzeros", "i32", 1 / 512), (".scales", "f16", 1 / 128)), 8.19,
    ),
    (
        "nf4", {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
        made(
            (".weight", "u8", 1 / 2), (".weight.absmax", "u8", 1 / 64), (".weight.quant_map", "f32", 0),
            (".weight.nested_absmax", "f32", 1 / 16384), (".weight.quant_state.bitsandbytes__nf4", "u8", 0),
        ),
        4.127,
    ),
    (
        "int8", {"quant_method": "bitsandbytes", "load_in_8bit": True},
        made((".weight", "i8", 1), (".SCB", "f32", 1 / 4096)), 8.01,
    ),
    (
        "int4", {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": PACKED},
        made((".weight_packed", "i32", 1 / 8), (".weight_scale", "bf16", 1 / 128), (".weight_shape", "i64", 0)), 4.13,
    ),
    (
        "fp8", {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": FLOAT8},
        made((".weight", "f8_e4m3", 1), (".weight_scale", "bf16", 1 / 4096)), 8.0,
    ),
    (
        "nvfp4", {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        made((".weight", "u8", 1 / 2), (".weight_scale", "f8_e4m3", 1 / 16), (".weight_scale_2", "f32", 0)), 4.5,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("quant", "config", "tensors", "bits"), FORMATS)
def test_packed_weights_are_named_weighed_and_counted(
    quant: str, config: dict[str, Any] | None, tensors: list[Tensor], bits: float
) -> None:
    found = read(config, tensors)
    assert found.quant == quant
    assert (found.file_bytes - EMBEDDING.n_bytes) * 8 / LINEAR == pytest.approx(bits, rel=0.005)
    assert found.parameters.layers == pytest.approx(LINEAR, rel=0.001)
    assert found.parameters.embedding == WIDTH * VOCAB


@pytest.mark.parametrize(("quant", "config", "tensors"), [each[:3] for each in FORMATS])
def test_weights_that_nobody_saw_are_estimated(
    quant: str, config: dict[str, Any] | None, tensors: list[Tensor]
) -> None:
    there = read(config, tensors)
    found = read(config, [])
    assert found.quant == quant
    assert found.file_bytes == pytest.approx(there.file_bytes, rel=0.04)
    assert found.confidence == "medium"
    assert "no weights were seen" in found.notes[0]


def test_mxfp4_packs_the_experts_alone() -> None:
    config = {
        "model_type": "gpt_oss", "num_hidden_layers": 1, "hidden_size": 2880, "num_attention_heads": 64,
        "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088, "intermediate_size": 2880,
        "num_local_experts": 32, "num_experts_per_tok": 4, "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    half = 32 * 5760 * 2880 // 2
    tensors = [
        Tensor("model.layers.0.mlp.experts.gate_up_proj_blocks", "u8", (16, 90, 5760, 32), half),
        Tensor("model.layers.0.mlp.experts.gate_up_proj_scales", "u8", (90, 5760, 32), half // 16),
        Tensor("model.layers.0.self_attn.q_proj.weight", "bf16", (2880, 4096), 2 * 2880 * 4096),
    ]
    found = model_from_config("m", json.dumps(config).encode(), tensors)
    assert found.quant == "mxfp4"
    assert (found.parameters.experts, found.parameters.layers) == (2 * half, 2880 * 4096)
    assert found.file_bytes == half + half // 16 + 2 * 2880 * 4096


def test_prediction_layers_stay_in_the_file() -> None:
    config = {**CONFIG, "model_type": "deepseek_v3", "kv_lora_rank": None}
    tensors = [
        Tensor("model.layers.0.mlp.up_proj.weight", "bf16", (8, 8), 128),
        Tensor("model.layers.1.eh_proj.weight", "bf16", (8, 8), 128),
        Tensor("mtp.layers.0.mlp.up_proj.weight", "bf16", (8, 8), 128),
        Tensor("vision_tower.encoder.layers.26.mlp.fc1.weight", "bf16", (8, 8), 128),
    ]
    found = model_from_config("m", json.dumps(config).encode(), tensors)
    assert (found.parameters.layers, found.parameters.other, found.file_bytes) == (64, 64, 256)
    assert found.notes == ("256 B of multi-token prediction stay in the files",)


def test_an_unknown_architecture_is_the_most_it_can_be() -> None:
    config = {
        **CONFIG, "model_type": "frobnicator", "num_hidden_layers": 4, "sliding_window": 128,
        "layer_types": ["linear_attention", "sliding_attention", "full_attention", "mamba"],
    }  # fmt: skip
    found = model_from_config("m", json.dumps(config).encode())
    assert found.confidence == "low"
    assert "frobnicator" in found.notes[0]
    assert all(layer.attention and layer.attention.window is None for layer in found.layers)
