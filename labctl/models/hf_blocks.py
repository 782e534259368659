"""Models whose config.json describes each block on its own (Llama-Nemotron, found by architecture search).

Keys: https://huggingface.co/nvidia/Llama-3_3-Nemotron-Super-49B-v1/blob/main/block_config.py. A block without attention
or feed-forward (no_op), or with one matrix in its place (replace_with_linear), caches nothing there.
"""

from collections.abc import Mapping
from typing import Any

from labctl.errors import BadInput
from labctl.models.hf_numbers import Numbers
from labctl.models.layer import Attention, Layer

_MULTIPLE = 256


def has_blocks(numbers: Numbers) -> bool:
    """Whether there is a list of them."""
    return isinstance(numbers.values.get("block_configs"), list)


def layers_of_blocks(numbers: Numbers, n_layers: int) -> tuple[Layer, ...]:
    """One entry per layer. Raises `BadInput` where there are fewer blocks than layers, or sizes without sense."""
    blocks = numbers.values["block_configs"]
    if len(blocks) < n_layers or not all(isinstance(block, dict) for block in blocks[:n_layers]):
        raise BadInput(
            "the blocks of this model cannot be meant",
            where=f"{numbers.where}: block_configs",
            found=f"{len(blocks)} entries",
            expected=f"an object for each of {n_layers} layers",
            hint="fetch the file again",
        )
    hidden, heads = numbers.size("hidden_size"), max(1, numbers.size("num_attention_heads"))
    return tuple(
        Layer(
            attention=_attention(_part(block, "attention"), numbers.where, hidden, heads),
            ff_size=_feed_forward(_part(block, "ffn"), numbers.where, hidden),
        )
        for block in blocks[:n_layers]
    )


def _part(block: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = block.get(name)
    return part if isinstance(part, dict) else {}


def _is_left_out(part: Mapping[str, Any]) -> bool:
    return part.get("no_op") is True or part.get("replace_with_linear") is True


def _attention(part: Mapping[str, Any], where: str, hidden: int, heads: int) -> Attention | None:
    if _is_left_out(part):
        return None
    group = max(1, Numbers(part, where).first("n_heads_in_group", default=1))
    return Attention(heads, max(1, heads // group), hidden // heads, hidden // heads)


def _feed_forward(part: Mapping[str, Any], where: str, hidden: int) -> int:
    if _is_left_out(part):
        return 0
    multiplier = part.get("ffn_mult")
    if isinstance(multiplier, bool) or not isinstance(multiplier, int | float) or not 0 < multiplier < 1000:
        return Numbers(part, where).first("intermediate_size", default=4 * hidden)
    return -(-int(2 * multiplier * hidden / 3) // _MULTIPLE) * _MULTIPLE
