"""config.json's recurrent layers: their state per sequence, and their parameters.

Shapes: https://github.com/huggingface/transformers/tree/main/src/transformers/models (mamba, mamba2, jamba,
granitemoehybrid, falcon_h1, nemotron_h, lfm2, qwen3_next), https://github.com/fla-org/flash-linear-attention (rwkv7).
"""

from labctl.models.hf_numbers import Numbers
from labctl.models.layer import Recurrent

_RWKV_TOKEN_SHIFTS = 2  # time mixing's and channel mixing's
_FIRST_MAMBAS = frozenset({"mamba", "falcon_mamba", "jamba"})


def recurrent(numbers: Numbers) -> tuple[Recurrent, int] | None:
    """The state, and the parameters of one such layer; None where the config describes none that is known."""
    kind, hidden = numbers.kind, _hidden(numbers)
    if kind.startswith("rwkv"):
        return _rwkv(numbers, kind, hidden)
    if numbers.values.get("linear_num_value_heads"):
        return _delta_net(numbers, hidden)
    if numbers.values.get("conv_L_cache"):
        return _short_conv(numbers, hidden)
    if kind in _FIRST_MAMBAS:
        return _mamba(numbers, hidden)
    if numbers.first("mamba_d_state", "ssm_state_size", "mamba_state_dim", "state_size"):
        return _mamba2(numbers, hidden)
    return _mamba2(numbers, hidden) if numbers.values.get("ssm_cfg") else None


def _hidden(numbers: Numbers) -> int:
    return numbers.first("hidden_size", "d_model", "n_embd")


def _mamba(numbers: Numbers, hidden: int) -> tuple[Recurrent, int]:
    state = numbers.first("mamba_d_state", "state_size", default=16)
    kernel = numbers.first("mamba_d_conv", "conv_kernel", default=4)
    expanded = hidden * numbers.first("mamba_expand", "expand", default=2)
    # In Jamba intermediate_size is the feed-forward's.
    inner = expanded if numbers.kind == "jamba" else numbers.first("intermediate_size", default=expanded)
    rank = -(-hidden // 16)
    if type(numbers.values.get("mamba_dt_rank", numbers.values.get("time_step_rank"))) is int:
        rank = numbers.first("mamba_dt_rank", "time_step_rank")
    in_and_out = 3 * hidden * inner
    scan = inner * (rank + 2 * state) + rank * inner + inner + inner * state + inner
    state_of = Recurrent("mamba", max(0, kernel - 1) * inner, state * inner)
    return state_of, in_and_out + (kernel + 1) * inner + scan


def _mamba2(numbers: Numbers, hidden: int) -> tuple[Recurrent, int]:
    state = numbers.first("mamba_d_state", "ssm_state_size", "mamba_state_dim", "state_size", default=128)
    kernel = numbers.first("mamba_d_conv", "conv_kernel", default=4)
    groups = numbers.first("mamba_n_groups", "mamba_num_groups", "n_groups", default=1)
    expanded = hidden * numbers.first("mamba_expand", "expand", default=2)
    width = numbers.first("mamba_d_head", "mamba_head_dim", "head_dim", default=64)
    heads = numbers.first("mamba_n_heads", "mamba_num_heads", "num_heads", default=0)
    inner = numbers.first("mamba_d_ssm", default=heads * width or expanded)
    mixed = inner + 2 * groups * state
    heads = heads or inner // max(1, width)
    parameters = hidden * (inner + mixed + heads) + (kernel + 1) * mixed + inner * hidden + inner + 3 * heads
    return Recurrent("mamba2", max(0, kernel - 1) * mixed, state * inner), parameters


def _delta_net(numbers: Numbers, hidden: int) -> tuple[Recurrent, int]:
    value_heads, key_dim = numbers.size("linear_num_value_heads"), numbers.size("linear_key_head_dim")
    values = value_heads * numbers.size("linear_value_head_dim")
    keys = numbers.size("linear_num_key_heads") * key_dim
    kernel = numbers.size("linear_conv_kernel_dim", 4)
    mixed = values + 2 * keys
    parameters = hidden * (mixed + values + 2 * value_heads) + kernel * mixed + values * hidden
    return Recurrent("gated-delta-net", max(0, kernel - 1) * mixed, values * key_dim), parameters


def _short_conv(numbers: Numbers, hidden: int) -> tuple[Recurrent, int]:
    length = numbers.size("conv_L_cache")
    return Recurrent("shortconv", hidden * max(0, length - 1), 0), 4 * hidden * hidden + length * hidden


def _rwkv(numbers: Numbers, kind: str, hidden: int) -> tuple[Recurrent, int]:
    head = numbers.first("head_dim", "head_size", default=64)
    state = Recurrent("rwkv7" if "7" in kind else "rwkv6", _RWKV_TOKEN_SHIFTS * hidden, hidden * head)
    if "7" in kind:
        ranks = sum(
            numbers.size(f"{name}_low_rank_dim", default)
            for name, default in (("decay", 96), ("a", 96), ("v", 64), ("gate", 320))
        )
        return state, 4 * hidden * hidden + 2 * hidden * ranks + 20 * hidden
    # Receptance, key, value, gate, output; the channel mixing's receptance; and two low-rank adapters.
    return state, 6 * hidden * hidden + 2 * hidden * (5 * 32 + 64) + 20 * hidden
