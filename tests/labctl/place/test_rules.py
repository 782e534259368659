"""What engines cannot do on a card, against their own documents."""

import pytest

from labctl.edges import catalog
from labctl.estimate.claim import Engine
from labctl.place.rules import STORED_AS, unsupported


@pytest.mark.parametrize(
    ("engine", "quant", "kv_type", "card", "part"),
    [
        ("vllm", "fp8", "f16", "rtx-3090", "fine"),
        ("vllm", "fp8", "fp8", "rtx-3090", "kv_cache"),
        ("vllm", "fp8", "fp8_e4m3", "rtx-4090", "fine"),
        ("vllm", "bfloat16", "f16", "rtx-2080-ti", "compute"),
        ("vllm", "awq", "f16", "tesla-v100-pcie-16gb", "weights"),
        ("vllm", "gptq-int4", "f16", "tesla-v100-pcie-16gb", "fine"),
        ("vllm", "fp16", "f16", "tesla-p40", None),
        ("llama.cpp", "Q4_K_M", "q8_0", "quadro-m2000", "fine"),
        ("llama.cpp", "Q4_K_M", "f16", "tesla-k80", None),
        ("comfyui", "fp8", "f16", "tesla-p40", "fine"),
        ("comfyui", "bf16", "f16", "tesla-p40", "fine"),  # multiplied in FP32
        ("training", "nf4", "f16", "tesla-p40", "fine"),
        ("training", "nf4", "f16", "quadro-m2000", "weights"),
        ("training", "int8", "f16", "tesla-p40", "weights"),
        ("whisper", "fp16", "f16", "tesla-p40", "weights"),
        ("whisper", "int8", "f16", "tesla-p40", "fine"),
        ("whisper", "int8", "f16", "quadro-m2000", "weights"),
    ],
)
def test_each_rule(engine: Engine, quant: str, kv_type: str, card: str, part: str | None) -> None:
    found = unsupported(engine, quant, kv_type, catalog.gpu(card))
    assert (found.part if found else "fine") == part
    if found:
        assert found.sentence
        assert found.source


def test_every_format_of_safetensors_is_known_by_all_of_its_names() -> None:
    named = {
        name.lower()
        for each in catalog.quantizations()
        if each.container != "gguf"
        for name in (each.name, *each.aliases)
    }
    assert named == set(STORED_AS)
