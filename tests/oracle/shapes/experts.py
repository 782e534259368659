"""Mixtures of experts, and latent attention."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.sparse_gguf import Header


def mixtral_8x7b() -> Header:
    blocks = Blocks("llama", "Mixtral 8x7B", 32, 4096, 32000, 32768)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=14336, expert_count=8, expert_used_count=2)
    for layer in range(32):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 32, 8, 128)
        blocks.experts(layer, 8, 14336)
    return blocks.header()


def qwen3_30b_a3b() -> Header:
    blocks = Blocks("qwen3moe", "Qwen3 30B A3B", 48, 2048, 151936, 40960)
    attention_keys(blocks, 32, 4, 128, feed_forward_length=6144, expert_count=128, expert_used_count=8)
    blocks.keys(expert_feed_forward_length=768)
    for layer in range(48):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=128)
        blocks.attention(layer, 32, 4, 128)
        blocks.experts(layer, 128, 768)
    return blocks.header()


def llama_4_scout() -> Header:
    blocks = Blocks("llama4", "Llama 4 Scout", 48, 5120, 202048, 10485760)
    attention_keys(blocks, 40, 8, 128, feed_forward_length=16384, expert_count=16, expert_used_count=1)
    blocks.keys(expert_feed_forward_length=8192, interleave_moe_layer_step=1)
    blocks.plain("rope_freqs.weight", 64)
    for layer in range(48):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 40, 8, 128)
        blocks.experts(layer, 16, 8192)
        blocks.feed_forward(layer, 8192, suffix="_shexp")
    return blocks.header()


def glm_4_5_air() -> Header:
    blocks = Blocks("glm4moe", "GLM-4.5-Air", 47, 4096, 151552, 131072)
    attention_keys(blocks, 96, 8, 128, feed_forward_length=10944, expert_count=128, expert_used_count=8)
    blocks.keys(expert_feed_forward_length=1408, expert_shared_count=1, leading_dense_block_count=1)
    blocks.keys(rope__dimension_count=64, nextn_predict_layers=1, expert_weights_norm=True)
    for layer in range(47):
        blocks.norms(layer, "attn_norm", "post_attention_norm")
        blocks.attention(layer, 96, 8, 128, bias=True)
        if layer == 0:
            blocks.feed_forward(layer, 10944)
        else:
            blocks.experts(layer, 128, 1408)
            blocks.plain(f"blk.{layer}.exp_probs_b.bias", 128)
            blocks.feed_forward(layer, 1408, suffix="_shexp")
    last = 46
    blocks.matrix(f"blk.{last}.nextn.eh_proj.weight", 8192, 4096)
    blocks.norms(last, "nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm")
    blocks.matrix(f"blk.{last}.nextn.embed_tokens.weight", 4096, 151552)
    blocks.matrix(f"blk.{last}.nextn.shared_head_head.weight", 4096, 151552)
    return blocks.header()


def deepseek_v2_lite() -> Header:
    return _deepseek("DeepSeek-V2-Lite", 27, 2048, 102400, (16, 10944, 0), (64, 6, 1408, 2))


def deepseek_v3() -> Header:
    return _deepseek("DeepSeek-V3", 61, 7168, 129280, (128, 18432, 1536), (256, 8, 2048, 1))


def _deepseek(
    name: str,
    layers: int,
    n_embd: int,
    vocab: int,
    sizes: tuple[int, int, int],
    experts: tuple[int, int, int, int],
) -> Header:
    (heads, ff, q_rank), (count, used, expert_ff, shared) = sizes, experts
    rank, rope, nope, value = 512, 64, 128, 128
    dense = 1 if layers == 27 else 3
    blocks = Blocks("deepseek2", name, layers, n_embd, vocab, 163840)
    attention_keys(blocks, heads, 1, rank + rope, feed_forward_length=ff)
    blocks.keys(attention__value_length=rank, rope__dimension_count=rope, attention__kv_lora_rank=rank)
    blocks.keys(attention__key_length_mla=nope + rope, attention__value_length_mla=value)
    blocks.keys(leading_dense_block_count=dense, expert_count=count, expert_used_count=used)
    blocks.keys(expert_feed_forward_length=expert_ff, expert_shared_count=shared, expert_weights_scale=1.0)
    if q_rank:
        blocks.keys(expert_weights_norm=True, expert_gating_func=2)
        blocks.keys(attention__q_lora_rank=q_rank, expert_group_count=8, expert_group_used_count=4)
    for layer in range(layers):
        at = f"blk.{layer}"
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.norms(layer, "attn_kv_a_norm", size=rank)
        if q_rank:
            blocks.norms(layer, "attn_q_a_norm", size=q_rank)
            blocks.matrix(f"{at}.attn_q_a.weight", n_embd, q_rank)
            blocks.matrix(f"{at}.attn_q_b.weight", q_rank, heads * (nope + rope))
        else:
            blocks.matrix(f"{at}.attn_q.weight", n_embd, heads * (nope + rope))
        blocks.matrix(f"{at}.attn_kv_a_mqa.weight", n_embd, rank + rope)
        blocks.matrix(f"{at}.attn_k_b.weight", nope, rank, heads)
        blocks.matrix(f"{at}.attn_v_b.weight", rank, value, heads)
        blocks.matrix(f"{at}.attn_output.weight", heads * value, n_embd)
        if layer < dense:
            blocks.feed_forward(layer, ff)
            continue
        blocks.experts(layer, count, expert_ff)
        if q_rank:
            blocks.plain(f"{at}.exp_probs_b.bias", count)
        blocks.feed_forward(layer, expert_ff * shared, suffix="_shexp")
    return blocks.header()


SHAPES = {
    "mixtral-8x7b": mixtral_8x7b,
    "qwen3-30b-a3b": qwen3_30b_a3b,
    "llama-4-scout": llama_4_scout,
    "glm-4.5-air": glm_4_5_air,
    "deepseek-v2-lite": deepseek_v2_lite,
    "deepseek-v3": deepseek_v3,
}
