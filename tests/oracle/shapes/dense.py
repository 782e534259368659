"""Dense models with attention over everything."""

from tests.oracle.shapes.blocks import Blocks, attention_keys
from tests.oracle.sparse_gguf import Header


def llama_3_1_8b() -> Header:
    return _llama("Llama 3.1 8B", 32, 4096, 14336, (32, 8, 128), 128256)


def llama_3_2_1b() -> Header:
    return _llama("Llama 3.2 1B", 16, 2048, 8192, (32, 8, 64), 128256, tied=True)


def llama_3_1_70b() -> Header:
    return _llama("Llama 3.1 70B", 80, 8192, 28672, (64, 8, 128), 128256)


def mistral_7b() -> Header:
    return _llama("Mistral 7B v0.3", 32, 4096, 14336, (32, 8, 128), 32768)


def _llama(
    name: str,
    layers: int,
    n_embd: int,
    ff: int,
    heads: tuple[int, int, int],
    vocab: int,
    *,
    tied: bool = False,
) -> Header:
    blocks = Blocks("llama", name, layers, n_embd, vocab, 131072)
    attention_keys(blocks, *heads, feed_forward_length=ff)
    blocks.plain("rope_freqs.weight", heads[2] // 2)
    for layer in range(layers):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, *heads)
        blocks.feed_forward(layer, ff)
    return blocks.header(tied=tied)


def qwen2_5_7b() -> Header:
    blocks = Blocks("qwen2", "Qwen2.5 7B", 28, 3584, 152064, 32768)
    attention_keys(blocks, 28, 4, 128, feed_forward_length=18944)
    for layer in range(28):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 28, 4, 128, bias=True)
        blocks.feed_forward(layer, 18944)
    return blocks.header()


def qwen3_14b() -> Header:
    blocks = Blocks("qwen3", "Qwen3 14B", 40, 5120, 151936, 40960)
    attention_keys(blocks, 40, 8, 128, feed_forward_length=17408)
    for layer in range(40):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.norms(layer, "attn_q_norm", "attn_k_norm", size=128)
        blocks.attention(layer, 40, 8, 128)
        blocks.feed_forward(layer, 17408)
    return blocks.header()


def phi_4() -> Header:
    blocks = Blocks("phi3", "Phi-4", 40, 5120, 100352, 16384)
    attention_keys(blocks, 40, 10, 128, feed_forward_length=17920)
    for layer in range(40):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.matrix(f"blk.{layer}.attn_qkv.weight", 5120, 60 * 128)
        blocks.matrix(f"blk.{layer}.attn_output.weight", 5120, 5120)
        blocks.matrix(f"blk.{layer}.ffn_up.weight", 5120, 2 * 17920)
        blocks.matrix(f"blk.{layer}.ffn_down.weight", 17920, 5120)
    return blocks.header()


def command_r_35b() -> Header:
    blocks = Blocks("command-r", "Command-R 35B", 40, 8192, 256000, 131072)
    attention_keys(blocks, 64, 64, 128, feed_forward_length=22528, logit_scale=0.0625)
    blocks.keys(attention__layer_norm_epsilon=1e-5)
    for layer in range(40):
        blocks.norms(layer, "attn_norm")
        blocks.attention(layer, 64, 64, 128)
        blocks.feed_forward(layer, 22528)
    return blocks.header(tied=True)


def glm_4_9b() -> Header:
    blocks = Blocks("glm4", "GLM-4 9B 0414", 40, 4096, 151552, 32768)
    attention_keys(blocks, 32, 2, 128, feed_forward_length=13696)
    blocks.keys(rope__dimension_count=64)
    for layer in range(40):
        blocks.norms(layer, "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
        blocks.attention(layer, 32, 2, 128)
        blocks.matrix(f"blk.{layer}.ffn_up.weight", 4096, 2 * 13696)
        blocks.matrix(f"blk.{layer}.ffn_down.weight", 13696, 4096)
    return blocks.header()


def granite_3_3_8b() -> Header:
    blocks = Blocks("granite", "Granite 3.3 8B", 40, 4096, 49159, 131072)
    attention_keys(blocks, 32, 8, 128, feed_forward_length=12800, logit_scale=16.0)
    blocks.keys(residual_scale=0.22, embedding_scale=12.0, attention__scale=0.0078125)
    for layer in range(40):
        blocks.norms(layer, "attn_norm", "ffn_norm")
        blocks.attention(layer, 32, 8, 128)
        blocks.feed_forward(layer, 12800)
    return blocks.header(tied=True)


SHAPES = {
    "llama-3.1-8b": llama_3_1_8b,
    "llama-3.2-1b": llama_3_2_1b,
    "llama-3.1-70b": llama_3_1_70b,
    "mistral-7b": mistral_7b,
    "qwen2.5-7b": qwen2_5_7b,
    "qwen3-14b": qwen3_14b,
    "phi-4": phi_4,
    "command-r-35b": command_r_35b,
    "glm-4-9b": glm_4_9b,
    "granite-3.3-8b": granite_3_3_8b,
}
