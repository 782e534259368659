"""Smaller mixtures of experts, each with something of its own."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.sparse_gguf import Header


def qwen1_5_moe_a2_7b() -> Header:
    blocks = Blocks("qwen2moe", "Qwen1.5-MoE A2.7B", 24, 2048, 151936, 8192)
    attention_keys(blocks, 16, 16, 128, feed_forward_length=5632, expert_count=60, expert_used_count=4)
    blocks.keys(expert_feed_forward_length=1408, expert_shared_feed_forward_length=5632)
    for layer in range(24):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 16, 16, 128, bias=True)
        blocks.experts(layer, 60, 1408)
        blocks.plain(f"blk.{layer}.ffn_gate_inp_shexp.weight", 2048)
        blocks.feed_forward(layer, 5632, suffix="_shexp")
    return blocks.header()


def phi_3_5_moe() -> Header:
    blocks = Blocks("phimoe", "Phi-3.5-MoE", 32, 4096, 32064, 131072)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=6400, expert_count=16, expert_used_count=2)
    blocks.keys(attention__sliding_window=131072, rope__scaling__original_context_length=4096)
    for name in ("rope_factors_long", "rope_factors_short"):
        blocks.plain(f"{name}.weight", 64)
    for layer in range(32):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        for name in ("attn_norm", "ffn_norm", "attn_output"):
            blocks.plain(f"blk.{layer}.{name}.bias", 4096)
        blocks.attention(layer, 32, 8, 128, bias=True)
        blocks.experts(layer, 16, 6400)
    blocks.plain("output_norm.bias", 4096)
    blocks.plain("output.bias", 32064)
    return blocks.header()


def granite_3_1_3b_a800m() -> Header:
    blocks = Blocks("granitemoe", "Granite 3.1 3B A800M", 32, 1536, 49155, 131072)
    attention_keys(blocks, 24, 8, 64, feed_forward_length=512, expert_count=40, expert_used_count=8)
    blocks.keys(residual_scale=0.22, embedding_scale=12.0, attention__scale=0.015625, logit_scale=6.0)
    for layer in range(32):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 24, 8, 64)
        blocks.experts(layer, 40, 512)
    return blocks.header(tied=True)


SHAPES = {
    "qwen1.5-moe-a2.7b": qwen1_5_moe_a2_7b,
    "phi-3.5-moe": phi_3_5_moe,
    "granite-3.1-3b-a800m": granite_3_1_3b_a800m,
}
