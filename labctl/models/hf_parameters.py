"""Parameters of a config.json's model, counted from its sizes."""

from collections.abc import Iterable, Mapping
from typing import Any

from labctl.models.hf_numbers import Numbers
from labctl.models.hf_recurrent import recurrent
from labctl.models.layer import Attention, Layer
from labctl.models.model import ParameterCounts

# Two matrices instead of three: no gate beside the up projection.
_NOT_GATED = frozenset({
    "nemotron", "nemotron_h", "starcoder2", "phi", "gpt2", "gpt_neox", "gpt_bigcode", "falcon", "opt", "bloom", "mpt",
    "bert", "roberta", "xlm-roberta", "camembert", "mpnet", "nomic_bert", "rwkv6", "rwkv7", "arcee", "apertus",
})  # fmt: skip
# The query projection makes a gate as well.
_GATED_QUERIES = frozenset({"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"})
# Without lm_head unless the config says otherwise.
TIED_BY_DEFAULT = frozenset({
    "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n_text", "cohere", "cohere2", "lfm2", "lfm2_moe", "mamba",
})  # fmt: skip


def counted(
    numbers: Numbers, blocks: Iterable[Layer], hidden: int, vocab: int, *, tied: bool
) -> ParameterCounts:
    """Matrices, norms and biases that weigh; what is left out is below a hundredth."""
    matrices = 2 if numbers.kind in _NOT_GATED else 3
    mixing = recurrent(numbers)
    experts = 0
    dense = hidden
    for layer in blocks:
        dense += 2 * hidden + matrices * hidden * layer.ff_size
        if layer.attention:
            gated = numbers.kind in _GATED_QUERIES
            dense += _attention_parameters(layer.attention, hidden, gated=gated)
        if layer.recurrent and mixing:
            dense += mixing[1]
        if layer.experts:
            routed = layer.experts
            experts += matrices * hidden * routed.ff_size * routed.count
            dense += hidden * routed.count + matrices * hidden * routed.shared_ff_size
    embedding, output = vocab * hidden, 0 if tied else vocab * hidden
    if per_layer := numbers.first("hidden_size_per_layer_input"):
        n_layers = numbers.first("num_hidden_layers")
        embedding += per_layer * n_layers * numbers.first("vocab_size_per_layer_input", default=vocab)
        dense += _alternating_updates(numbers, hidden, n_layers, per_layer)
    return ParameterCounts(embedding, output, dense, experts)


def vision_parameters(config: Mapping[str, Any], where: str) -> int:
    """Of the tower that vision_config describes; 0 where there is none, or none that can be counted."""
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return 0
    numbers = Numbers(vision, where)
    hidden = numbers.first("hidden_size", "embed_dim", "width")
    n_layers = numbers.first("num_hidden_layers", "depth", "layers")
    size = numbers.first("intermediate_size", default=4 * hidden)
    return n_layers * (4 * hidden * hidden + 2 * hidden * size)


def _attention_parameters(attends: Attention, hidden: int, *, gated: bool) -> int:
    heads, latent = attends.n_head, attends.latent
    if latent is None:
        queries = heads * attends.head_dim_k * (2 if gated else 1)
        cached = attends.n_head_kv * (attends.head_dim_k + attends.head_dim_v)
        return hidden * (queries + cached + heads * attends.head_dim_v)
    asked = heads * (latent.nope_head_dim + latent.rope_head_dim)
    query = latent.q_lora_rank * (hidden + asked) if latent.q_lora_rank else hidden * asked
    compressed = hidden * (latent.kv_lora_rank + latent.rope_head_dim)
    restored = latent.kv_lora_rank * heads * (latent.nope_head_dim + latent.v_head_dim)
    return query + compressed + restored + heads * latent.v_head_dim * hidden


def _alternating_updates(numbers: Numbers, hidden: int, n_layers: int, per_layer: int) -> int:
    """Gemma 3n (transformers, modeling_gemma3n.py): AltUp's and LAuReL's matrices, and the per-layer inputs'."""
    inputs, rank = numbers.first("altup_num_inputs", default=4), numbers.first("laurel_rank", default=64)
    of_each = 2 * hidden * rank + 2 * hidden * per_layer + inputs * (inputs * inputs + hidden)
    return n_layers * of_each + 2 * max(0, inputs - 1) * hidden * hidden + hidden * per_layer * n_layers
