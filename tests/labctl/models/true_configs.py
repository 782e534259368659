"""Sizes from each model's published config.json, as far as they decide its memory.

Each has its GGUF header in tests/oracle/shapes, under the same name. Nemotron-H has the pattern of that header, which
is Nemotron Nano 9B v2's, cut; its own is another.
"""

from typing import Any

Config = dict[str, Any]
_FULL, _SLIDING = "full_attention", "sliding_attention"


def _of(kind: str, sizes: tuple[int, int, int, int, int, int], **more: Any) -> Config:
    """sizes: layers, width, heads, KV heads, feed-forward, vocabulary."""
    names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
    return {
        "model_type": kind,
        **dict(zip((*names, "intermediate_size", "vocab_size"), sizes, strict=True)),
        **more,
    }


_LLAMA: Config = {"tie_word_embeddings": False, "torch_dtype": "bfloat16"}
_QWEN: Config = {"use_sliding_window": False, "sliding_window": None, "tie_word_embeddings": False}
_TIED: Config = {"tie_word_embeddings": True}
_DEEPSEEK: Config = {
    "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "moe_layer_freq": 1,
    "tie_word_embeddings": False,
}  # fmt: skip

DENSE: dict[str, Config] = {
    "llama-3.1-8b": _of("llama", (32, 4096, 32, 8, 14336, 128256), **_LLAMA),
    "llama-3.2-1b": _of("llama", (16, 2048, 32, 8, 8192, 128256), head_dim=64, **_TIED),
    "llama-3.1-70b": _of("llama", (80, 8192, 64, 8, 28672, 128256), **_LLAMA),
    "mistral-7b": _of("mistral", (32, 4096, 32, 8, 14336, 32768), sliding_window=None, **_LLAMA),
    "qwen2.5-7b": _of(
        "qwen2", (28, 3584, 28, 4, 18944, 152064),
        use_sliding_window=False, sliding_window=131072, max_window_layers=28, tie_word_embeddings=False,
    ),
    "qwen3-14b": _of("qwen3", (40, 5120, 40, 8, 17408, 151936), head_dim=128, max_window_layers=40, **_QWEN),
    "phi-4": _of("phi3", (40, 5120, 40, 10, 17920, 100352), sliding_window=None, **_LLAMA),
    "command-r-35b": _of("cohere", (40, 8192, 64, 64, 22528, 256000)),
    "glm-4-9b": _of("glm4", (40, 4096, 32, 2, 13696, 151552), head_dim=128, partial_rotary_factor=0.5, **_LLAMA),
    "granite-3.3-8b": _of("granite", (40, 4096, 32, 8, 12800, 49159), **_TIED),
}  # fmt: skip

WINDOWED: dict[str, Config] = {
    "gemma-2-9b": _of("gemma2", (42, 3584, 16, 8, 14336, 256000), head_dim=256, sliding_window=4096),
    "gemma-3-27b": {
        "model_type": "gemma3",
        "text_config": _of(
            "gemma3_text", (62, 5376, 32, 16, 21504, 262208), head_dim=128, sliding_window=1024,
        ),
        "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27},
    },
    "gemma-3n-e4b": {
        "model_type": "gemma3n",
        "text_config": _of(
            "gemma3n_text", (35, 2048, 8, 2, 0, 262400),
            head_dim=256, sliding_window=512, layer_types=[*[_SLIDING] * 4, _FULL] * 7, num_kv_shared_layers=15,
            altup_num_inputs=4, laurel_rank=64, hidden_size_per_layer_input=256, vocab_size_per_layer_input=262144,
        ) | {"intermediate_size": [16384] * 35},
    },
    "gpt-oss-20b": _of(
        "gpt_oss", (24, 2880, 64, 8, 2880, 201088),
        head_dim=64, sliding_window=128, layer_types=[_SLIDING, _FULL] * 12, num_local_experts=32,
        num_experts_per_tok=4, experts_per_token=4, quantization_config={"quant_method": "mxfp4"}, **_LLAMA,
    ),
}  # fmt: skip

EXPERTS: dict[str, Config] = {
    "mixtral-8x7b": _of(
        "mixtral", (32, 4096, 32, 8, 14336, 32000), num_local_experts=8, num_experts_per_tok=2, sliding_window=None,
        **_LLAMA,
    ),
    "qwen3-30b-a3b": _of(
        "qwen3_moe", (48, 2048, 32, 4, 6144, 151936),
        head_dim=128, num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768, decoder_sparse_step=1,
        mlp_only_layers=[], max_window_layers=48, **_QWEN,
    ),
    "llama-4-scout": {
        "model_type": "llama4",
        "text_config": _of(
            "llama4_text", (48, 5120, 40, 8, 8192, 202048),
            intermediate_size_mlp=16384, head_dim=128, num_local_experts=16, num_experts_per_tok=1,
            interleave_moe_layer_step=1, attention_chunk_size=8192, no_rope_layers=[], **_LLAMA,
        ),
        "vision_config": {"hidden_size": 1408, "intermediate_size": 5632, "num_hidden_layers": 34},
    },
    "glm-4.5-air": _of(
        "glm4_moe", (46, 4096, 96, 8, 10944, 151552),
        head_dim=128, n_routed_experts=128, n_shared_experts=1, num_experts_per_tok=8, moe_intermediate_size=1408,
        first_k_dense_replace=1, num_nextn_predict_layers=1, **_LLAMA,
    ),
    "deepseek-v2-lite": _of(
        "deepseek_v2", (27, 2048, 16, 16, 10944, 102400),
        q_lora_rank=None, n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6, moe_intermediate_size=1408,
        first_k_dense_replace=1, **_DEEPSEEK,
    ),
    "deepseek-v3": _of(
        "deepseek_v3", (61, 7168, 128, 128, 18432, 129280),
        q_lora_rank=1536, n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8, moe_intermediate_size=2048,
        first_k_dense_replace=3, num_nextn_predict_layers=1, quantization_config={"quant_method": "fp8"}, **_DEEPSEEK,
    ),
}  # fmt: skip

HYBRID: dict[str, Config] = {
    "granite-4-h-small": _of(
        "granitemoehybrid", (40, 4096, 32, 8, 768, 100352),
        layer_types=["attention" if layer in (5, 15, 25, 35) else "mamba" for layer in range(40)],
        num_local_experts=72, num_experts_per_tok=10, shared_intermediate_size=1536, mamba_n_heads=128,
        mamba_d_head=64, mamba_d_state=128, mamba_n_groups=1, mamba_d_conv=4, mamba_expand=2, **_TIED,
    ),
    "falcon-h1-7b": _of(
        "falcon_h1", (44, 3072, 12, 2, 12288, 130048),
        head_dim=128, mamba_d_ssm=3072, mamba_n_heads=24, mamba_d_head=128, mamba_d_state=256, mamba_n_groups=1,
        mamba_d_conv=4, mamba_expand=2, tie_word_embeddings=False,
    ),
    "jamba-mini": _of(
        "jamba", (32, 4096, 32, 8, 14336, 65536),
        attn_layer_period=8, attn_layer_offset=4, expert_layer_period=2, expert_layer_offset=1, num_experts=16,
        num_experts_per_tok=2, mamba_d_state=16, mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=256,
        tie_word_embeddings=False,
    ),
    "mamba2-2.7b": {
        "d_model": 2560, "d_intermediate": 0, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {"layer": "Mamba2"},
        "attn_layer_idx": [], "attn_cfg": {}, "pad_vocab_size_multiple": 16, "tie_embeddings": True,
    },
    "rwkv7-2.9b": {
        "model_type": "rwkv7", "num_hidden_layers": 32, "hidden_size": 2560, "intermediate_size": 10240,
        "head_dim": 64, "vocab_size": 65536, "decay_low_rank_dim": 96, "a_low_rank_dim": 96, "v_low_rank_dim": 64,
        "gate_low_rank_dim": 320, "tie_word_embeddings": False,
    },
    "lfm2-1.2b": _of(
        "lfm2", (16, 2048, 32, 8, 12288, 65536),
        block_ff_dim=12288, block_auto_adjust_ff_dim=True, block_ffn_dim_multiplier=1.0, block_multiple_of=256,
        conv_L_cache=3, conv_dim=2048, full_attn_idxs=[2, 5, 8, 10, 12, 14],
    ),
    "nemotron-h-8b": _of(
        "nemotron_h", (52, 4096, 32, 8, 21504, 131072),
        hybrid_override_pattern="M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-"[:52],
        attention_head_dim=128, mamba_num_heads=128, mamba_head_dim=64, ssm_state_size=128, n_groups=8,
        conv_kernel=4, expand=2, tie_word_embeddings=False,
    ),
    "qwen3-next-80b": _of(
        "qwen3_next", (48, 2048, 16, 2, 5120, 151936),
        head_dim=256, full_attention_interval=4, num_experts=512, num_experts_per_tok=10, moe_intermediate_size=512,
        shared_expert_intermediate_size=512, decoder_sparse_step=1, mlp_only_layers=[], linear_num_value_heads=32,
        linear_num_key_heads=16, linear_value_head_dim=128, linear_key_head_dim=128, linear_conv_kernel_dim=4,
        tie_word_embeddings=False,
    ),
}  # fmt: skip

CONFIGS = {**DENSE, **WINDOWED, **EXPERTS, **HYBRID}
