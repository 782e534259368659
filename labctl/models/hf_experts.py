"""config.json's feed-forward parts: dense, or a mixture of experts, layer by layer."""

from labctl.models.hf_numbers import Numbers
from labctl.models.layer import Experts

Feed = tuple[int, Experts | None]
NOTHING: Feed = (0, None)


def feeds(numbers: Numbers, n_layers: int) -> tuple[Feed, ...]:
    """The dense size, or the experts, of each layer. Raises `BadInput` for sizes without sense."""
    if numbers.kind in ("mamba", "mamba2", "falcon_mamba"):
        return (NOTHING,) * n_layers
    dense, experts = _dense(numbers, n_layers), _experts(numbers)
    if pattern := numbers.values.get("hybrid_override_pattern"):
        by_letter = {"-": (dense[0], None), "E": (0, experts)}
        found = [by_letter.get(letter, NOTHING) for letter in str(pattern)[:n_layers]]
        return tuple(found) + ((dense[0], None),) * (n_layers - len(found))
    sparse = _sparse(numbers, n_layers) if experts else frozenset()
    return tuple((0, experts) if index in sparse else (size, None) for index, size in enumerate(dense))


def _dense(numbers: Numbers, n_layers: int) -> tuple[int, ...]:
    if numbers.kind == "granitemoehybrid" and not numbers.first("num_local_experts"):
        return numbers.sizes(n_layers, "shared_intermediate_size", "intermediate_size")
    if numbers.values.get("block_auto_adjust_ff_dim") is True:
        return (_adjusted(numbers),) * n_layers
    hidden = numbers.first("hidden_size", "d_model", "n_embd")
    names = ("intermediate_size_mlp", "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff")
    return numbers.sizes(n_layers, *names, default=4 * hidden)


def _adjusted(numbers: Numbers) -> int:
    """LFM2 writes the size before it is made that of a gated unit (transformers, modeling_lfm2.py)."""
    size = 2 * numbers.first("block_ff_dim", "intermediate_size") // 3
    multiplier = numbers.values.get("block_ffn_dim_multiplier")
    if isinstance(multiplier, int | float) and 0 < multiplier < 100:
        size = int(multiplier * size)
    multiple = max(1, numbers.first("block_multiple_of", default=1))
    return -(-size // multiple) * multiple


def _experts(numbers: Numbers) -> Experts | None:
    count = numbers.first("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
    if not count:
        return None
    size = numbers.first("moe_intermediate_size", "expert_ff_dim", "intermediate_size")
    shared = numbers.first(
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"
    )
    if numbers.kind == "llama4_text":
        shared = size
    shared = shared or size * numbers.first(
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert"
    )
    used = numbers.first("num_experts_per_tok", "experts_per_token", "moe_topk", "moe_k", default=count)
    return Experts(count, min(count, used), size, shared)


def _sparse(numbers: Numbers, n_layers: int) -> frozenset[int]:
    """Layers that have experts."""
    every_layer = range(n_layers)
    listed = numbers.indices("moe_layers")
    if listed:
        return listed
    if period := numbers.first("expert_layer_period"):
        offset = numbers.first("expert_layer_offset")
        return frozenset(index for index in every_layer if index % period == offset)
    first = numbers.first("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    step = numbers.first("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval", default=1)
    dense = numbers.indices("mlp_only_layers") or frozenset()
    return frozenset(
        index
        for index in every_layer
        if index >= first and (index + 1) % max(1, step) == 0 and index not in dense
    )
