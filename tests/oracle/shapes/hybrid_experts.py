"""Hybrids of attention and recurrence whose feed-forward is a mixture of experts, and Qwen3.5."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.shapes.hybrid import mamba2, mamba_keys
from tests.oracle.sparse_gguf import Header


def qwen3_5_9b() -> Header:
    blocks = Blocks("qwen35", "Qwen3.5 9B", 32, 4096, 248320, 262144)
    attention_keys(blocks, 16, 4, 256, feed_forward_length=12288)
    _delta_nets(blocks, 4)
    for layer in range(32):
        blocks.feed_forward(layer, 12288)
    return blocks.header()


def qwen3_5_35b_a3b() -> Header:
    blocks = Blocks("qwen35moe", "Qwen3.5 35B A3B", 40, 2048, 248320, 262144)
    attention_keys(blocks, 16, 2, 256, feed_forward_length=5632, expert_count=256, expert_used_count=8)
    blocks.keys(expert_feed_forward_length=512, expert_shared_feed_forward_length=512)
    _delta_nets(blocks, 2)
    for layer in range(40):
        blocks.experts(layer, 256, 512)
        blocks.plain(f"blk.{layer}.ffn_gate_inp_shexp.weight", 2048)
        blocks.feed_forward(layer, 512, suffix="_shexp")
    return blocks.header()


def _delta_nets(blocks: Blocks, kv_heads: int) -> None:
    """Three layers of four, each fourth has gated attention."""
    inner, state, value_heads, key_heads = 4096, 128, 32, 16
    blocks.keys(rope__dimension_count=64, rope__dimension_sections=[11, 11, 10, 0])
    mamba_keys(blocks, inner, state, value_heads, key_heads)
    mixed, n_embd = 2 * key_heads * state + inner, blocks.n_embd
    for layer in range(blocks.n_layers):
        at = f"blk.{layer}"
        blocks.norms(layer, "attn_norm", "post_attention_norm")
        if layer % 4 == 3:
            blocks.matrix(f"{at}.attn_q.weight", n_embd, 2 * 16 * 256)
            blocks.matrix(f"{at}.attn_k.weight", n_embd, kv_heads * 256)
            blocks.matrix(f"{at}.attn_v.weight", n_embd, kv_heads * 256)
            blocks.matrix(f"{at}.attn_output.weight", 16 * 256, n_embd)
            blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=256)
            continue
        blocks.matrix(f"{at}.attn_qkv.weight", n_embd, mixed)
        blocks.matrix(f"{at}.attn_gate.weight", n_embd, inner)
        blocks.plain(f"{at}.ssm_conv1d.weight", 4, mixed)
        blocks.plain(f"{at}.ssm_dt.bias", value_heads)
        blocks.plain(f"{at}.ssm_a", value_heads)
        for name in ("ssm_alpha", "ssm_beta"):
            blocks.matrix(f"{at}.{name}.weight", n_embd, value_heads)
        blocks.plain(f"{at}.ssm_norm.weight", state)
        blocks.matrix(f"{at}.ssm_out.weight", inner, n_embd)


def lfm2_8b_a1b() -> Header:
    attends, dense = {2, 6, 10, 14, 18, 21}, 2
    blocks = Blocks("lfm2moe", "LFM2 8B A1B", 24, 2048, 65536, 128000)
    attention_keys(blocks, 32, 8, 64, feed_forward_length=7168, expert_count=32, expert_used_count=4)
    blocks.keys(attention__head_count_kv=[8 if layer in attends else 0 for layer in range(24)])
    blocks.keys(shortconv__l_cache=3, leading_dense_block_count=dense, expert_feed_forward_length=1792)
    blocks.keys(expert_gating_func=2)
    for layer in range(24):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        if layer < dense:
            blocks.feed_forward(layer, 7168)
        else:
            blocks.experts(layer, 32, 1792)
            blocks.plain(f"blk.{layer}.exp_probs_b.bias", 32)
        if layer in attends:
            blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=64)
            blocks.attention(layer, 32, 8, 64)
        else:
            blocks.plain(f"blk.{layer}.shortconv.conv.weight", 3, 2048)
            blocks.matrix(f"blk.{layer}.shortconv.in_proj.weight", 2048, 3 * 2048)
            blocks.matrix(f"blk.{layer}.shortconv.out_proj.weight", 2048, 2048)
    return blocks.header(tied=True, norm="token_embd_norm")


def nemotron_3_nano_30b() -> Header:
    pattern = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME"
    layers = len(pattern)
    blocks = Blocks("nemotron_h_moe", "Nemotron 3 Nano 30B A3B", layers, 2688, 131072, 262144)
    attention_keys(blocks, 32, 2, 128, expert_count=128, expert_used_count=6)
    blocks.keys(attention__head_count_kv=[2 if kind == "*" else 0 for kind in pattern])
    blocks.keys(feed_forward_length=[1856 if kind == "E" else 0 for kind in pattern])
    blocks.keys(expert_feed_forward_length=1856, expert_shared_feed_forward_length=3712)
    blocks.keys(expert_shared_count=1, expert_weights_norm=True, expert_weights_scale=2.5)
    blocks.metadata["nemotron_h_moe.attention.layer_norm_epsilon"] = 1e-5
    mamba_keys(blocks, 4096, 128, 64, 8)
    for layer, kind in enumerate(pattern):
        blocks.norms(layer, "attn_norm")
        if kind == "M":
            mamba2(blocks, layer, 4096, 128, 64, 8)
        elif kind == "*":
            blocks.attention(layer, 32, 2, 128)
        else:
            blocks.experts(layer, 128, 1856, gated=False)
            blocks.plain(f"blk.{layer}.exp_probs_b.bias", 128)
            blocks.feed_forward(layer, 3712, gated=False, suffix="_shexp")
    return blocks.header()


SHAPES = {
    "qwen3.5-9b": qwen3_5_9b,
    "qwen3.5-35b-a3b": qwen3_5_35b_a3b,
    "lfm2-8b-a1b": lfm2_8b_a1b,
    "nemotron-3-nano-30b": nemotron_3_nano_30b,
}
