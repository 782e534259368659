"""Models with recurrent layers, alone or beside attention."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.sparse_gguf import Header


def mamba2(blocks: Blocks, layer: int, inner: int, state: int, heads: int, groups: int) -> None:
    """One layer's tensors."""
    conv = 4
    at, mixed = f"blk.{layer}", inner + 2 * groups * state
    blocks.matrix(f"{at}.ssm_in.weight", blocks.n_embd, inner + mixed + heads)
    blocks.plain(f"{at}.ssm_conv1d.weight", conv, mixed)
    blocks.plain(f"{at}.ssm_conv1d.bias", mixed)
    blocks.plain(f"{at}.ssm_dt.bias", heads)
    blocks.plain(f"{at}.ssm_a", 1, heads)
    blocks.plain(f"{at}.ssm_d", 1, heads)
    blocks.plain(f"{at}.ssm_norm.weight", inner // groups, groups)
    blocks.matrix(f"{at}.ssm_out.weight", inner, blocks.n_embd)


def mamba_keys(blocks: Blocks, inner: int, state: int, heads: int, groups: int, conv: int = 4) -> None:
    """The metadata of its state; for mamba 1 `heads` is the rank of its steps, and there are no groups."""
    blocks.keys(ssm__conv_kernel=conv, ssm__inner_size=inner, ssm__state_size=state)
    blocks.keys(ssm__time_step_rank=heads, ssm__group_count=groups)


def granite_4_h_small() -> Header:
    attends = {5, 15, 25, 35}
    blocks = Blocks("granitehybrid", "Granite 4.0 H Small", 40, 4096, 100352, 131072)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=768, expert_count=72, expert_used_count=10)
    blocks.keys(attention__head_count_kv=[8 if layer in attends else 0 for layer in range(40)])
    blocks.keys(expert_shared_feed_forward_length=1536, logit_scale=16.0, residual_scale=0.22)
    blocks.keys(embedding_scale=12.0, attention__scale=0.0078125)
    mamba_keys(blocks, 8192, 128, 128, 1)
    for layer in range(40):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        if layer in attends:
            blocks.attention(layer, 32, 8, 128)
        else:
            mamba2(blocks, layer, 8192, 128, 128, 1)
        blocks.experts(layer, 72, 768)
        blocks.feed_forward(layer, 1536, suffix="_shexp")
    return blocks.header(tied=True)


def falcon_h1_7b() -> Header:
    blocks = Blocks("falcon-h1", "Falcon-H1 7B", 44, 3072, 130048, 262144)
    attention_keys(blocks, 12, 2, 128, feed_forward_length=12288)
    mamba_keys(blocks, 3072, 256, 24, 1)
    for layer in range(44):
        blocks.norms(layer, "attn_norm")
        blocks.plain(f"blk.{layer}.ffn_norm", 3072)
        blocks.attention(layer, 12, 2, 128)
        mamba2(blocks, layer, 3072, 256, 24, 1)
        blocks.feed_forward(layer, 12288)
    return blocks.header()


def jamba_mini() -> Header:
    attends, inner, state, rank = {4, 12, 20, 28}, 8192, 16, 256
    blocks = Blocks("jamba", "Jamba Mini", 32, 4096, 65536, 262144)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=14336, expert_count=16, expert_used_count=2)
    blocks.keys(attention__head_count_kv=[8 if layer in attends else 0 for layer in range(32)])
    mamba_keys(blocks, inner, state, rank, 0)
    for layer in range(32):
        at = f"blk.{layer}"
        blocks.norms(layer, "attn_norm", "ffn_norm")
        if layer in attends:
            blocks.attention(layer, 32, 8, 128)
        else:
            blocks.matrix(f"{at}.ssm_in.weight", 4096, 2 * inner)
            blocks.plain(f"{at}.ssm_conv1d.weight", 4, inner)
            blocks.plain(f"{at}.ssm_conv1d.bias", inner)
            blocks.matrix(f"{at}.ssm_x.weight", inner, rank + 2 * state)
            blocks.norms(layer, "ssm_dt_norm", size=rank)
            blocks.norms(layer, "ssm_b_norm", "ssm_c_norm", size=state)
            blocks.matrix(f"{at}.ssm_dt.weight", rank, inner)
            blocks.plain(f"{at}.ssm_dt.bias", inner)
            blocks.plain(f"{at}.ssm_a", state, inner)
            blocks.plain(f"{at}.ssm_d", inner)
            blocks.matrix(f"{at}.ssm_out.weight", inner, 4096)
        if layer % 2:
            blocks.experts(layer, 16, 14336)
        else:
            blocks.feed_forward(layer, 14336)
    return blocks.header()


def lfm2_1_2b() -> Header:
    attends = {2, 5, 8, 10, 12, 14}
    blocks = Blocks("lfm2", "LFM2 1.2B", 16, 2048, 65536, 128000)
    attention_keys(blocks, 32, 8, 64, feed_forward_length=8192)
    blocks.keys(attention__head_count_kv=[8 if layer in attends else 0 for layer in range(16)])
    blocks.keys(shortconv__l_cache=3)
    for layer in range(16):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.feed_forward(layer, 8192)
        if layer in attends:
            blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=64)
            blocks.attention(layer, 32, 8, 64)
        else:
            blocks.plain(f"blk.{layer}.shortconv.conv.weight", 3, 2048)
            blocks.matrix(f"blk.{layer}.shortconv.in_proj.weight", 2048, 3 * 2048)
            blocks.matrix(f"blk.{layer}.shortconv.out_proj.weight", 2048, 2048)
    return blocks.header(tied=True, norm="token_embd_norm")


def nemotron_h_8b() -> Header:
    pattern = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-"[:52]
    blocks = Blocks("nemotron_h", "Nemotron-H 8B", 52, 4096, 131072, 8192)
    attention_keys(blocks, 32, 8, 128)
    blocks.keys(attention__head_count_kv=[8 if kind == "*" else 0 for kind in pattern])
    blocks.keys(feed_forward_length=[21504 if kind == "-" else 0 for kind in pattern])
    blocks.metadata["nemotron_h.attention.layer_norm_epsilon"] = 1e-5
    mamba_keys(blocks, 8192, 128, 128, 8)
    for layer, kind in enumerate(pattern):
        blocks.norms(layer, "attn_norm")
        if kind == "M":
            mamba2(blocks, layer, 8192, 128, 128, 8)
        elif kind == "*":
            blocks.attention(layer, 32, 8, 128)
        else:
            blocks.feed_forward(layer, 21504, gated=False)
    return blocks.header()


def qwen3_next_80b() -> Header:
    inner, state, value_heads, key_heads = 4096, 128, 32, 16
    blocks = Blocks("qwen3next", "Qwen3-Next 80B A3B", 48, 2048, 151936, 262144)
    attention_keys(blocks, 16, 2, 256, feed_forward_length=5120, expert_count=512, expert_used_count=10)
    blocks.keys(
        rope__dimension_count=64, expert_feed_forward_length=512, expert_shared_feed_forward_length=512
    )
    mamba_keys(blocks, inner, state, value_heads, key_heads)
    keys = 2 * key_heads * state
    for layer in range(48):
        at = f"blk.{layer}"
        blocks.norms(layer, "attn_norm", "post_attention_norm")
        if layer % 4 == 3:
            blocks.matrix(f"{at}.attn_q.weight", 2048, 2 * 16 * 256)
            blocks.matrix(f"{at}.attn_k.weight", 2048, 2 * 256)
            blocks.matrix(f"{at}.attn_v.weight", 2048, 2 * 256)
            blocks.matrix(f"{at}.attn_output.weight", 16 * 256, 2048)
            blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=256)
        else:
            blocks.matrix(f"{at}.attn_qkv.weight", 2048, keys + inner)
            blocks.matrix(f"{at}.attn_gate.weight", 2048, inner)
            blocks.plain(f"{at}.ssm_conv1d.weight", 4, keys + inner)
            blocks.plain(f"{at}.ssm_dt.bias", value_heads)
            blocks.plain(f"{at}.ssm_a", value_heads)
            blocks.matrix(f"{at}.ssm_ba.weight", 2048, 2 * value_heads)
            blocks.plain(f"{at}.ssm_norm.weight", state)
            blocks.matrix(f"{at}.ssm_out.weight", inner, 2048)
        blocks.experts(layer, 512, 512)
        blocks.plain(f"{at}.ffn_gate_inp_shexp.weight", 2048)
        blocks.feed_forward(layer, 512, suffix="_shexp")
    return blocks.header()


SHAPES = {
    "granite-4-h-small": granite_4_h_small,
    "falcon-h1-7b": falcon_h1_7b,
    "jamba-mini": jamba_mini,
    "lfm2-1.2b": lfm2_1_2b,
    "nemotron-h-8b": nemotron_h_8b,
    "qwen3-next-80b": qwen3_next_80b,
}
