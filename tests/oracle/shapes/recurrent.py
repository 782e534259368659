"""Models that keep a state and no cache."""

from tests.oracle.shapes.blocks import Blocks
from tests.oracle.shapes.hybrid import mamba2, mamba_keys
from tests.oracle.sparse_gguf import Header


def mamba_2_8b() -> Header:
    inner, state, rank = 5120, 16, 160
    blocks = Blocks("mamba", "Mamba 2.8B", 64, 2560, 50280, 1048576)
    blocks.keys(feed_forward_length=0, attention__head_count=0, attention__layer_norm_rms_epsilon=1e-5)
    mamba_keys(blocks, inner, state, rank, 0)
    for layer in range(64):
        at = f"blk.{layer}"
        blocks.norms(layer, "attn_norm")
        blocks.matrix(f"{at}.ssm_in.weight", 2560, 2 * inner)
        blocks.plain(f"{at}.ssm_conv1d.weight", 4, inner)
        blocks.plain(f"{at}.ssm_conv1d.bias", inner)
        blocks.matrix(f"{at}.ssm_x.weight", inner, rank + 2 * state)
        blocks.matrix(f"{at}.ssm_dt.weight", rank, inner)
        blocks.plain(f"{at}.ssm_dt.bias", inner)
        blocks.plain(f"{at}.ssm_a", state, inner)
        blocks.plain(f"{at}.ssm_d", inner)
        blocks.matrix(f"{at}.ssm_out.weight", inner, 2560)
    return blocks.header(tied=True)


def rwkv6_3b() -> Header:
    layers, n_embd, ff, mix, decay = 32, 2560, 8960, 32, 64
    blocks = Blocks("rwkv6", "RWKV-6 World 3B", layers, n_embd, 65536, 1048576)
    blocks.keys(feed_forward_length=ff, attention__head_count=0, attention__layer_norm_epsilon=1e-5)
    blocks.keys(wkv__head_size=64, time_mix_extra_dim=mix, time_decay_extra_dim=decay)
    blocks.keys(rescale_every_n_layers=6)
    for name in ("token_embd_norm.weight", "token_embd_norm.bias", "output_norm.bias"):
        blocks.plain(name, n_embd)
    for layer in range(layers):
        at = f"blk.{layer}"
        for name in ("attn_norm", "attn_norm_2", "time_mix_ln"):
            blocks.plain(f"{at}.{name}.weight", n_embd)
            blocks.plain(f"{at}.{name}.bias", n_embd)
        blocks.matrix(f"{at}.time_mix_w1.weight", n_embd, 5 * mix)
        blocks.matrix(f"{at}.time_mix_w2.weight", mix, n_embd, 5)
        blocks.plain(f"{at}.time_mix_lerp_x.weight", n_embd, 1, 1)
        blocks.plain(f"{at}.time_mix_lerp_fused.weight", n_embd, 1, 1, 5)
        blocks.plain(f"{at}.time_mix_first.weight", 64, n_embd // 64)
        blocks.plain(f"{at}.time_mix_decay.weight", n_embd)
        blocks.matrix(f"{at}.time_mix_decay_w1.weight", n_embd, decay)
        blocks.matrix(f"{at}.time_mix_decay_w2.weight", decay, n_embd)
        for name in ("key", "value", "receptance", "gate", "output"):
            blocks.matrix(f"{at}.time_mix_{name}.weight", n_embd, n_embd)
        for name in ("lerp_k", "lerp_r"):
            blocks.plain(f"{at}.channel_mix_{name}.weight", n_embd, 1, 1)
        blocks.matrix(f"{at}.channel_mix_key.weight", n_embd, ff)
        blocks.matrix(f"{at}.channel_mix_value.weight", ff, n_embd)
        blocks.matrix(f"{at}.channel_mix_receptance.weight", n_embd, n_embd)
    return blocks.header()


def mamba2_2_7b() -> Header:
    blocks = Blocks("mamba2", "Mamba2 2.7B", 64, 2560, 50288, 1048576)
    blocks.keys(feed_forward_length=0, attention__head_count=0, attention__layer_norm_rms_epsilon=1e-5)
    mamba_keys(blocks, 5120, 128, 80, 1)
    for layer in range(64):
        blocks.norms(layer, "attn_norm")
        mamba2(blocks, layer, 5120, 128, 80, 1)
    return blocks.header(tied=True)


def rwkv7_2_9b() -> Header:
    layers, n_embd, ff, decay, iclr, value, gate = 32, 2560, 10240, 96, 96, 64, 320
    blocks = Blocks("rwkv7", "RWKV-7 World 2.9B", layers, n_embd, 65536, 1048576)
    blocks.keys(feed_forward_length=ff, attention__head_count=0, attention__layer_norm_epsilon=1e-5)
    blocks.keys(wkv__head_size=64, attention__decay_lora_rank=decay, attention__iclr_lora_rank=iclr)
    blocks.keys(attention__value_residual_mix_lora_rank=value, attention__gate_lora_rank=gate)
    for name in ("token_embd_norm.weight", "token_embd_norm.bias", "output_norm.bias"):
        blocks.plain(name, n_embd)
    for layer in range(layers):
        at = f"blk.{layer}"
        for name in ("attn_norm", "attn_norm_2", "time_mix_ln"):
            blocks.plain(f"{at}.{name}.weight", n_embd)
            blocks.plain(f"{at}.{name}.bias", n_embd)
        for name, rank in (("w", decay), ("a", iclr), ("v", value if layer else iclr), ("g", gate)):
            if name != "g":
                blocks.plain(f"{at}.time_mix_{name}0.weight", n_embd)
            blocks.matrix(f"{at}.time_mix_{name}1.weight", n_embd, rank)
            blocks.matrix(f"{at}.time_mix_{name}2.weight", rank, n_embd)
        blocks.plain(f"{at}.time_mix_lerp_fused.weight", n_embd, 1, 1, 6)
        for name in ("k_k", "k_a", "r_k"):
            blocks.plain(f"{at}.time_mix_{name}.weight", n_embd)
        for name in ("key", "value", "receptance", "output"):
            blocks.matrix(f"{at}.time_mix_{name}.weight", n_embd, n_embd)
        blocks.plain(f"{at}.channel_mix_lerp_k.weight", n_embd, 1, 1)
        blocks.matrix(f"{at}.channel_mix_key.weight", n_embd, ff)
        blocks.matrix(f"{at}.channel_mix_value.weight", ff, n_embd)
    return blocks.header()


SHAPES = {
    "mamba-2.8b": mamba_2_8b,
    "mamba2-2.7b": mamba2_2_7b,
    "rwkv6-3b": rwkv6_3b,
    "rwkv7-2.9b": rwkv7_2_9b,
}
