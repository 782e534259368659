"""More sizes from published config.json files, beside the number of parameters (billions) that is published with them.

Without vision towers; those of tests/oracle have their headers in true_configs.
"""

from typing import Any

from tests.labctl.models.config_sizes import Config, of


def _nested(kind: str, text: Config, key: str = "text_config", **vision: Any) -> Config:
    return {"model_type": kind, key: text, **vision}


PUBLISHED: dict[str, tuple[float, Config]] = {
    "gemma-3-4b": (
        3.88,  # what the class has by default is not in the file: heads, KV heads, head size, vocabulary
        _nested(
            "gemma3",
            {
                "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
                "sliding_window": 1024,
            },
        ),
    ),
    "gemma-2-2b": (2.61, of("gemma2", (26, 2304, 8, 4, 9216, 256000), head_dim=256, sliding_window=4096)),
    "llama-4-maverick": (
        400.7,
        _nested(
            "llama4",
            of(
                "llama4_text", (48, 5120, 40, 8, 8192, 202048), intermediate_size_mlp=16384, head_dim=128,
                num_local_experts=128, num_experts_per_tok=1, interleave_moe_layer_step=2, tie_word_embeddings=False,
            ),
        ),
    ),
    "llama-3.2-11b-vision": (
        9.78,
        _nested("mllama", of("mllama_text_model", (40, 4096, 32, 8, 14336, 128256), tie_word_embeddings=False)),
    ),
    "mistral-small-3.1-24b": (
        23.57,
        _nested(
            "mistral3", of("mistral", (40, 5120, 32, 8, 32768, 131072), head_dim=128, tie_word_embeddings=False)
        ),
    ),
    "qwen2-57b-a14b": (
        57.41,
        of(
            "qwen2_moe", (28, 3584, 28, 4, 18944, 151936), num_experts=64, num_experts_per_tok=8,
            moe_intermediate_size=2560, shared_expert_intermediate_size=20480, decoder_sparse_step=1,
            tie_word_embeddings=False,
        ),
    ),
    "deepseek-v2": (
        235.74,
        of(
            "deepseek_v2", (60, 5120, 128, 128, 12288, 102400), q_lora_rank=1536, kv_lora_rank=512,
            qk_rope_head_dim=64, qk_nope_head_dim=128, v_head_dim=128, n_routed_experts=160, n_shared_experts=2,
            num_experts_per_tok=6, moe_intermediate_size=1536, first_k_dense_replace=1, tie_word_embeddings=False,
        ),
    ),
    "kimi-k2": (
        1026.4,
        of(
            "kimi_k2", (61, 7168, 64, 64, 18432, 163840), q_lora_rank=1536, kv_lora_rank=512, qk_rope_head_dim=64,
            qk_nope_head_dim=128, v_head_dim=128, n_routed_experts=384, n_shared_experts=1, num_experts_per_tok=8,
            moe_intermediate_size=2048, first_k_dense_replace=1, tie_word_embeddings=False,
        ),
    ),
    "hunyuan-a13b": (
        80.4,
        of(
            "hunyuan_v1_moe", (32, 4096, 32, 8, 3072, 128167), head_dim=128, num_experts=64, moe_topk=[8] * 32,
            moe_intermediate_size=[3072] * 32, num_shared_expert=[1] * 32, tie_word_embeddings=True,
        ),
    ),
    "granite-4-h-micro": (
        3.19,
        of(
            "granitemoehybrid", (40, 2048, 32, 8, 8192, 100352), shared_intermediate_size=8192, num_local_experts=0,
            layer_types=["attention" if layer in (5, 15, 25, 35) else "mamba" for layer in range(40)],
            mamba_n_heads=64, mamba_d_head=64, mamba_d_state=128, mamba_n_groups=1, mamba_d_conv=4, mamba_expand=2,
            tie_word_embeddings=True,
        ),
    ),
    "falcon-mamba-7b": (
        7.27,
        {
            "model_type": "falcon_mamba", "num_hidden_layers": 64, "hidden_size": 4096, "intermediate_size": 8192,
            "state_size": 16, "conv_kernel": 4, "time_step_rank": 256, "vocab_size": 65024,
            "tie_word_embeddings": False,
        },
    ),
    "mamba-codestral-7b": (
        7.28,
        {
            "model_type": "mamba2", "num_hidden_layers": 64, "hidden_size": 4096, "num_heads": 128, "head_dim": 64,
            "state_size": 128, "n_groups": 8, "conv_kernel": 4, "expand": 2, "vocab_size": 32768,
            "tie_word_embeddings": False,
        },
    ),
    "gpt2": (0.1244, {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257}),
    "modernbert-base": (
        0.149,
        {
            "model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"], "num_hidden_layers": 22,
            "hidden_size": 768, "intermediate_size": 1152, "num_attention_heads": 12, "vocab_size": 50368,
            "local_attention": 128, "global_attn_every_n_layers": 3,
        },
    ),
    "bert-base": (
        0.1095,
        of("bert", (12, 768, 12, 12, 3072, 30522), architectures=["BertForMaskedLM"]),
    ),
}  # fmt: skip
