"""Models whose layers see only a window, or share caches."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.sparse_gguf import Header


def gemma_2_9b() -> Header:
    blocks = Blocks("gemma2", "Gemma 2 9B", 42, 3584, 256000, 8192)
    attention_keys(blocks, 16, 8, 256, feed_forward_length=14336)
    blocks.keys(attention__sliding_window=4096, attn_logit_softcapping=50.0, final_logit_softcapping=30.0)
    for layer in range(42):
        blocks.norms(layer, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        blocks.attention(layer, 16, 8, 256)
        blocks.feed_forward(layer, 14336)
    return blocks.header(tied=True)


def gemma_3_27b() -> Header:
    blocks = Blocks("gemma3", "Gemma 3 27B", 62, 5376, 262144, 131072)
    attention_keys(blocks, 32, 16, 128, feed_forward_length=21504)
    blocks.keys(attention__sliding_window=1024)
    for layer in range(62):
        blocks.norms(layer, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=128)
        blocks.attention(layer, 32, 16, 128)
        blocks.feed_forward(layer, 21504)
    return blocks.header(tied=True)


def gemma_3n_e4b() -> Header:
    layers, altup, per_layer = 35, 4, 256
    blocks = Blocks("gemma3n", "Gemma 3n E4B", layers, 2048, 262144, 32768)
    attention_keys(blocks, 8, 2, 256, feed_forward_length=16384)
    blocks.keys(attention__sliding_window=512, embedding_length_per_layer_input=per_layer)
    blocks.keys(attention__shared_kv_layers=15.0, altup__num_inputs=altup, altup__active_idx=0)
    blocks.matrix("altup_proj.weight", 2048, 2048, altup - 1)
    blocks.matrix("altup_unembd_proj.weight", 2048, 2048, altup - 1)
    blocks.matrix("per_layer_token_embd.weight", per_layer * layers, 262144)
    blocks.matrix("per_layer_model_proj.weight", 2048, per_layer * layers)
    blocks.plain("per_layer_proj_norm.weight", per_layer)
    for layer in range(layers):
        blocks.norms(layer, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm")
        blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=256)
        blocks.attention(layer, 8, 2, 256)
        blocks.feed_forward(layer, 16384)
        blocks.matrix(f"blk.{layer}.inp_gate.weight", 2048, per_layer)
        blocks.matrix(f"blk.{layer}.proj.weight", per_layer, 2048)
        blocks.plain(f"blk.{layer}.altup_correct_coef.weight", altup, altup)
        blocks.plain(f"blk.{layer}.altup_correct_scale.weight", 2048)
        blocks.plain(f"blk.{layer}.altup_predict_coef.weight", altup, altup * altup)
        blocks.plain(f"blk.{layer}.altup_router.weight", 2048, altup)
        blocks.plain(f"blk.{layer}.altup_router_norm.weight", 2048)
        blocks.matrix(f"blk.{layer}.laurel_l.weight", 2048, 64)
        blocks.matrix(f"blk.{layer}.laurel_r.weight", 64, 2048)
        blocks.plain(f"blk.{layer}.laurel_post_norm.weight", 2048)
    return blocks.header(tied=True)


def command_r7b() -> Header:
    blocks = Blocks("cohere2", "Command R7B", 32, 4096, 256000, 131072)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=14336, logit_scale=0.25)
    blocks.keys(attention__layer_norm_epsilon=1e-5, attention__sliding_window=4096)
    for layer in range(32):
        blocks.norms(layer, "attn_norm")
        blocks.attention(layer, 32, 8, 128)
        blocks.feed_forward(layer, 14336)
    return blocks.header(tied=True)


def gpt_oss_20b() -> Header:
    blocks = Blocks("gpt-oss", "gpt-oss 20B", 24, 2880, 201088, 131072)
    attention_keys(blocks, 64, 8, 64, feed_forward_length=2880)
    blocks.keys(
        attention__sliding_window=128, expert_count=32, expert_used_count=4, expert_feed_forward_length=2880
    )
    for layer in range(24):
        blocks.norms(layer, "attn_norm", "post_attention_norm")
        blocks.attention(layer, 64, 8, 64, bias=True)
        blocks.plain(f"blk.{layer}.attn_output.bias", 2880)
        blocks.plain(f"blk.{layer}.attn_sinks.weight", 64)
        blocks.experts(layer, 32, 2880, kind="mxfp4")
        blocks.plain(f"blk.{layer}.ffn_gate_inp.bias", 32)
        for name in ("gate", "up", "down"):
            blocks.plain(f"blk.{layer}.ffn_{name}_exps.bias", 2880, 32)
    return blocks.header()


SHAPES = {
    "gemma-2-9b": gemma_2_9b,
    "gemma-3-27b": gemma_3_27b,
    "gemma-3n-e4b": gemma_3n_e4b,
    "command-r7b": command_r7b,
    "gpt-oss-20b": gpt_oss_20b,
}
