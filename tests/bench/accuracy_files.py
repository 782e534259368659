"""Files that other estimators read: a repository as the hub has it, with true shapes and no data."""

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from labctl.edges import catalog
from labctl.models.layer import Layer
from labctl.models.model import Model
from tests.oracle.sparse_gguf import Header, header_bytes

# GGUF's name of an architecture → transformers' own, and the class of its language model.
FAMILIES = {
    "llama": ("llama", "LlamaForCausalLM"), "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"), "qwen3moe": ("qwen3_moe", "Qwen3MoeForCausalLM"),
    "gemma2": ("gemma2", "Gemma2ForCausalLM"), "gemma3": ("gemma3_text", "Gemma3ForCausalLM"),
    "glm4": ("glm4", "Glm4ForCausalLM"), "glm4moe": ("glm4_moe", "Glm4MoeForCausalLM"),
    "gpt-oss": ("gpt_oss", "GptOssForCausalLM"), "deepseek2": ("deepseek_v3", "DeepseekV3ForCausalLM"),
    "phi3": ("phi3", "Phi3ForCausalLM"), "command-r": ("cohere", "CohereForCausalLM"),
    "cohere2": ("cohere2", "Cohere2ForCausalLM"), "llama4": ("llama4_text", "Llama4ForCausalLM"),
}  # fmt: skip
# How a matrix of n weights lies in a safetensors file, by format: dtype and how many of its numbers.
PACKED: dict[str, tuple[tuple[str, float], ...]] = {
    "bfloat16": (("BF16", 1),), "float16": (("F16", 1),), "fp8": (("F8_E4M3", 1),), "int8": (("I8", 1),),
    "awq": (("I32", 1 / 8), ("F16", 1 / 128), ("I32", 1 / 1024)),
    "gptq-int4": (("I32", 1 / 8), ("F16", 1 / 128), ("I32", 1 / 1024)),
    "gptq-int8": (("I32", 1 / 4), ("F16", 1 / 128), ("I32", 1 / 512)),
}  # fmt: skip
_BYTES = {"BF16": 2, "F16": 2, "F8_E4M3": 1, "I8": 1, "I32": 4}


def write_repository(folder: Path, model: Model) -> bool:
    """config.json and the header of model.safetensors. False where the format's layout is not known here."""
    config = config_json(model)
    if config is None or model.quant not in PACKED:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    rows, at = {}, 0
    for name, kind, count in _rows(model):
        rows[name] = {"dtype": kind, "shape": [count], "data_offsets": [at, at + count * _BYTES[kind]]}
        at += count * _BYTES[kind]
    head = json.dumps(rows).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head)
    return True


def write_gguf(path: Path, model: Model, context: int) -> None:
    """A header with the model's sizes, and one tensor as large as its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = next(layer.attention for layer in model.layers if layer.attention)
    prefix = model.architecture
    keys: dict[str, Any] = {
        f"{prefix}.block_count": len(model.layers), f"{prefix}.context_length": context,
        f"{prefix}.embedding_length": model.n_embd, f"{prefix}.attention.head_count": first.n_head,
        f"{prefix}.attention.head_count_kv": first.n_head_kv, f"{prefix}.attention.key_length": first.head_dim_k,
        f"{prefix}.attention.value_length": first.head_dim_v,
    }  # fmt: skip
    path.write_bytes(
        header_bytes(Header(prefix, keys, {"blk.0.weight": ("f32", (model.file_bytes // 4,))}))[0]
    )


def config_json(model: Model) -> dict[str, Any] | None:
    """As transformers writes it; None for a family it would not know by these names."""
    attends = next((layer.attention for layer in model.layers if layer.attention), None)
    if attends is None or model.architecture not in FAMILIES or attends.latent:
        return None
    kind, architecture = FAMILIES[model.architecture]
    config: dict[str, Any] = {
        "architectures": [architecture], "model_type": kind, "hidden_size": model.n_embd,
        "num_hidden_layers": len(model.layers), "num_attention_heads": attends.n_head,
        "num_key_value_heads": attends.n_head_kv, "head_dim": attends.head_dim_k, "vocab_size": model.vocab,
        "intermediate_size": max(layer.ff_size for layer in model.layers) or 4 * model.n_embd,
        "max_position_embeddings": model.context_train or 4096, "tie_word_embeddings": model.tied_embedding,
        "torch_dtype": "bfloat16", "pad_token_id": 0,
    }  # fmt: skip
    window = next(
        (each.attention.window for each in model.layers if each.attention and each.attention.window), None
    )
    if window:
        config |= {"sliding_window": window, "layer_types": [_layer_type(each) for each in model.layers]}
    experts = next((layer.experts for layer in model.layers if layer.experts), None)
    if experts:
        config |= {
            "num_experts": experts.count, "num_local_experts": experts.count, "num_experts_per_tok": experts.used,
            "n_routed_experts": experts.count, "moe_intermediate_size": experts.ff_size,
            "n_shared_experts": 1 if experts.shared_ff_size else 0,
        }  # fmt: skip
        if kind == "gpt_oss":
            config["intermediate_size"] = experts.ff_size
    return config


def _layer_type(layer: Layer) -> str:
    return "sliding_attention" if layer.attention and layer.attention.window else "full_attention"


def _rows(model: Model) -> Iterator[tuple[str, str, int]]:
    for tensor in catalog.model(model.name, "F16").tensors:
        count = prod(tensor.shape)
        whole = len(tensor.shape) == 1 or tensor.name.startswith(("token_embd", "output"))
        for index, (kind, share) in enumerate((("BF16", 1.0),) if whole else PACKED[model.quant]):
            yield f"{tensor.name}.{index}" if index else tensor.name, kind, int(count * share)
