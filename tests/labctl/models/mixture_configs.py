"""Sizes from published config.json files: more mixtures of experts, and models that attend in few layers or none."""

from tests.labctl.models.config_sizes import Config, of

_FULL = "full_attention"
_QWEN: Config = {
    "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
    "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "attn_output_gate": True, "head_dim": 256,
    "tie_word_embeddings": False,
}  # fmt: skip

MIXTURES: dict[str, Config] = {
    "command-r7b": of("cohere2", (32, 4096, 32, 8, 14336, 256000), sliding_window=4096, sliding_window_pattern=4),
    "qwen1.5-moe-a2.7b": of(
        "qwen2_moe", (24, 2048, 16, 16, 5632, 151936), num_experts=60, num_experts_per_tok=4,
        moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1,
        use_sliding_window=False, sliding_window=32768, max_window_layers=21, tie_word_embeddings=False,
    ),
    "phi-3.5-moe": of(
        "phimoe", (32, 4096, 32, 8, 6400, 32064), num_local_experts=16, num_experts_per_tok=2,
        sliding_window=131072, max_position_embeddings=131072, tie_word_embeddings=False,
    ),
    "granite-3.1-3b-a800m": of(
        "granitemoe", (32, 1536, 24, 8, 512, 49155), num_local_experts=40, num_experts_per_tok=8,
        tie_word_embeddings=True,
    ),
    "qwen3.5-35b-a3b": {
        "model_type": "qwen3_5_moe",
        "text_config": {
            "model_type": "qwen3_5_moe_text", "num_hidden_layers": 40, "hidden_size": 2048, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 248320, "num_experts": 256, "num_experts_per_tok": 8,
            "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
            "layer_types": [*["linear_attention"] * 3, _FULL] * 10, **_QWEN,
        },
    },
    "lfm2-8b-a1b": of(
        "lfm2_moe", (24, 2048, 32, 8, 7168, 65536), num_dense_layers=2, num_experts=32, num_experts_per_tok=4,
        moe_intermediate_size=1792, conv_L_cache=3,
        layer_types=[_FULL if layer in (2, 6, 10, 14, 18, 21) else "conv" for layer in range(24)],
    ),
    "nemotron-3-nano-30b": of(
        "nemotron_h", (52, 2688, 32, 2, 1856, 131072), head_dim=128, n_routed_experts=128, num_experts_per_tok=6,
        hybrid_override_pattern="MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME", mamba_num_heads=64,
        mamba_head_dim=64, ssm_state_size=128, n_groups=8, conv_kernel=4, moe_intermediate_size=1856,
        n_shared_experts=1, moe_shared_expert_intermediate_size=3712, tie_word_embeddings=False,
    ),
}  # fmt: skip

RECURRENT: dict[str, Config] = {
    "qwen3.5-9b": {
        "model_type": "qwen3_5",
        "text_config": of("qwen3_5_text", (32, 4096, 16, 4, 12288, 248320), full_attention_interval=4, **_QWEN),
    },
    "mamba-2.8b": {
        "model_type": "mamba", "num_hidden_layers": 64, "hidden_size": 2560, "intermediate_size": 5120,
        "state_size": 16, "conv_kernel": 4, "expand": 2, "time_step_rank": 160, "vocab_size": 50280,
    },
    "rwkv6-3b": {
        "model_type": "rwkv6", "num_hidden_layers": 32, "hidden_size": 2560, "attention_hidden_size": 2560,
        "head_size": 64, "intermediate_size": None, "vocab_size": 65536, "tie_word_embeddings": False,
    },
}  # fmt: skip
