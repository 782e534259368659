"""A language model of a megabyte as the Hugging Face hub has them: what it says is nonsense, its tokens are real.

The llama architecture in BF16 with random weights, a tokenizer with one token per byte, a chat template. The same seed
gives the same bytes.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.host.tiny_gguf import byte_tokens

NAME = "labctl-tiny"
CONTEXT_TOKENS = 512
_SEED = 20
_LAYERS = 2
# vLLM's attention on processors wants heads of 32 numbers or more.
_HEADS, _PER_HEAD = 2, 64
_WIDTH = _HEADS * _PER_HEAD
_FEED_FORWARD = 256
_BEGIN, _END = "<|begin|>", "<|end|>"
_VOCABULARY = 256 + len((_BEGIN, _END))
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def write_tiny_transformer(folder: Path) -> None:
    """Write the model's files to `folder`, which is made."""
    folder.mkdir(parents=True)
    for name, document in (
        ("config.json", _config()),
        ("tokenizer.json", _tokenizer()),
        ("tokenizer_config.json", _tokenizer_config()),
    ):
        (folder / name).write_text(json.dumps(document, indent=2))
    (folder / "model.safetensors").write_bytes(_safetensors(dict(_tensors())))


def _config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": _WIDTH,
        "intermediate_size": _FEED_FORWARD,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _HEADS,
        "max_position_embeddings": CONTEXT_TOKENS,
        "vocab_size": _VOCABULARY,
        "bos_token_id": _VOCABULARY - 2,
        "eos_token_id": _VOCABULARY - 1,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }


def _tokenizer() -> dict[str, Any]:
    added = [
        {"id": 256 + place, "content": word, "special": True, "single_word": False, "lstrip": False}
        | {"rstrip": False, "normalized": False}
        for place, word in enumerate((_BEGIN, _END))
    ]
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": False,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "vocab": {letter: number for number, letter in enumerate(byte_tokens())},
            "merges": [],
        },
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _BEGIN,
        "eos_token": _END,
        "chat_template": _CHAT_TEMPLATE,
        "model_max_length": CONTEXT_TOKENS,
    }


def _tensors() -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.default_rng(_SEED)

    def weights(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.3, shape).astype(np.float32)

    yield "model.embed_tokens.weight", weights(_VOCABULARY, _WIDTH)
    for layer in range(_LAYERS):
        at = f"model.layers.{layer}"
        for name in ("q", "k", "v", "o"):
            yield f"{at}.self_attn.{name}_proj.weight", weights(_WIDTH, _WIDTH)
        yield f"{at}.mlp.gate_proj.weight", weights(_FEED_FORWARD, _WIDTH)
        yield f"{at}.mlp.up_proj.weight", weights(_FEED_FORWARD, _WIDTH)
        yield f"{at}.mlp.down_proj.weight", weights(_WIDTH, _FEED_FORWARD)
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}.{name}.weight", np.ones(_WIDTH, np.float32)
    yield "model.norm.weight", np.ones(_WIDTH, np.float32)
    yield "lm_head.weight", weights(_VOCABULARY, _WIDTH)


def _safetensors(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    """https://github.com/huggingface/safetensors#format: the header's length, the header, the numbers."""
    rows: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers = b""
    for name, values in tensors.items():
        # numpy has no BF16: it is the upper half of a number in F32.
        raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        rows[name] = {
            "dtype": "BF16",
            "shape": list(values.shape),
            "data_offsets": [len(numbers), len(numbers) + len(raw)],
        }
        numbers += raw
    header = json.dumps(rows).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + numbers
