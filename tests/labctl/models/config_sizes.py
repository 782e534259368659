"""config.json in few words."""

from typing import Any

Config = dict[str, Any]


def of(kind: str, sizes: tuple[int, int, int, int, int, int], **more: Any) -> Config:
    """sizes: layers, width, heads, KV heads, feed-forward, vocabulary."""
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    return {
        "model_type": kind,
        **dict(zip((*names, "intermediate_size", "vocab_size"), sizes, strict=True)),
        **more,
    }
