"""vLLM's pool of blocks, what images add, and what it refuses to start with."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate import vllm
from labctl.estimate.claim import MIB, Estimate, Request

GIB = 1024**3


def asked(context: int = 8192, parallel: int = 1, **more: float) -> Request:
    return Request(
        engine="vllm", context=context, parallel=parallel, card_memory_bytes=(80 * GIB,), batch=2048,
        memory_fraction=more.get("memory_fraction"),
    )  # fmt: skip


def estimated(model: str, quant: str = "bf16", context: int = 8192, parallel: int = 1) -> Estimate:
    return vllm.estimate(catalog.model(model, quant), asked(context, parallel))


def pool_note(found: Estimate) -> list[str]:
    return [note for note in found.notes if note.startswith("the pool")]


def test_layers_with_windows_share_blocks_in_groups_as_large_as_the_rarest_kind() -> None:
    # 10 global layers: 1 group of them, 6 of the 52 with a window of 1024, which a batch of 2048 comes in on top of.
    blocks = 8192 // 16 + 6 * (-(-(1023 + 2048) // 16) + 1)
    found = estimated("gemma-3-27b", "awq")
    assert found.of("kv_cache") == (blocks + 1) * 10 * 16 * 16 * 256 * 2 == 2190213120
    assert "--kv-cache-memory-bytes=2190213120" in " ".join(found.notes)
    assert "8192 tokens" in pool_note(found)[0]
    assert "3904" not in pool_note(found)[0]


def test_kinds_that_are_nearly_as_common_are_padded_to_the_commonest() -> None:
    # 12 and 12 layers; one more of either would still be one group each.
    found = estimated("gpt-oss-20b", "mxfp4-safetensors")
    blocks = 512 + -(-(127 + 2048) // 16) + 1
    assert found.of("kv_cache") == (blocks + 1) * 12 * 16 * 8 * 128 * 2


@pytest.mark.parametrize(
    "name",
    ["gemma-3-27b", "gpt-oss-20b", "llama-3.1-8b", "mamba2-2.7b", "falcon-h1-7b", "qwen3-next-80b-a3b"],
)
def test_the_pool_holds_exactly_the_requests_that_were_asked_for(name: str) -> None:
    model, request = catalog.model(name, "bf16"), asked(2048, 3)
    pool = vllm.pool(model, request)
    wanted = vllm.cache_bytes(model, request)
    assert pool.requests_in(wanted) == 3
    assert pool.requests_in(wanted - 1) == 2


def test_a_block_is_kept_for_vllm_itself() -> None:
    assert estimated("llama-3.1-8b", context=8192, parallel=4).of("kv_cache") == (4 * 512 + 1) * 16 * 131072


@pytest.mark.parametrize(("kv_type", "n_bytes"), [("f16", 4), ("bf16", 4), ("fp8", 1)])
def test_a_cache_that_is_not_quantized_has_the_numbers_of_the_weights(kv_type: str, n_bytes: int) -> None:
    # vLLM 0.30.0 with --dtype=float32 --kv-cache-dtype=auto refuses to start with half of it.
    model = replace(catalog.model("llama-3.1-8b", "bf16"), quant="fp32")
    found = vllm.estimate(model, replace(asked(), kv_type_k=kv_type, kv_type_v=kv_type))
    assert found.of("kv_cache") == (512 + 1) * 16 * 32 * 8 * (128 + 128) * n_bytes


def test_states_and_tokens_share_pages_of_one_size() -> None:
    model = catalog.model("qwen3-next-80b-a3b", "bf16")
    pool = vllm.pool(model, asked())
    (state,) = {
        4 * (layer.recurrent.conv_elements + layer.recurrent.state_elements)
        for layer in model.layers
        if layer.recurrent
    }
    page = pool.block_bytes // 12  # of 48 layers every fourth has attention
    assert state <= page < state + 16 * 2 * 256 * 2 * 2
    assert pool.blocks_per_request == 3 + -(-8192 // (page // (2 * 256 * 2 * 2)))


def test_recurrent_models_do_not_hold_nothing_and_encoders_say_nothing() -> None:
    found = estimated("mamba2-2.7b", context=2048, parallel=2)
    assert pool_note(found) == ["the pool holds 2 × 2048 tokens: 4096 tokens"]
    assert pool_note(estimated("bge-m3")) == []


def test_a_fraction_that_leaves_less_than_one_request_is_said() -> None:
    llama = catalog.model("llama-3.1-8b", "bf16")
    request = asked(131072, memory_fraction=0.25)
    assert "will not start" in pool_note(vllm.estimate(llama, request))[0]


def test_images_of_mllama_are_counted_as_measured() -> None:
    model = catalog.model("llama-3.2-11b-vision", "bf16")
    request = Request(engine="vllm", context=65536, parallel=128, batch=65536)
    found = vllm.estimate(model, request)
    (peak,) = (term for term in found.cards[0].terms if term.name == "activation peak")
    assert peak.low <= 37509 * MIB <= peak.high
    assert peak.expected == pytest.approx(37509 * MIB, rel=0.05)
    assert found.confidence == "medium"


@pytest.mark.parametrize(
    "name", ["gemma-3-27b", "qwen2.5-vl-7b", "mistral-small-3.2-24b", "phi-4-multimodal"]
)
def test_a_tower_of_unknown_output_costs_confidence_and_memory(name: str) -> None:
    model = catalog.model(name, "bf16")
    found = vllm.estimate(model, asked())
    (peak,) = (term for term in found.cards[0].terms if term.name == "activation peak")
    assert peak.high - vllm.activation_term(model, 1, 2048, 1).high > GIB
    assert "images" in peak.formula
    assert found.confidence == "low"
    assert "--limit-mm-per-prompt" in " ".join(found.notes)


def test_models_without_a_tower_are_left_alone() -> None:
    found = estimated("llama-3.1-8b")
    assert found.confidence == "medium"
    assert "images" not in " ".join(found.notes)


def test_kv_heads_that_cannot_be_dealt_out_are_refused() -> None:
    llama = catalog.model("llama-3.2-3b", "bf16")  # 24 heads, 8 KV heads
    with pytest.raises(BadInput, match=r"8 KV heads on 3 cards.*1, 2, 4, 8"):
        vllm.check_parallelism(llama, 3)
    vllm.check_parallelism(llama, 8)
    vllm.check_parallelism(catalog.model("qwen2.5-7b", "bf16"), 28)


def test_latents_have_no_kv_heads_to_deal_out() -> None:
    vllm.check_parallelism(catalog.model("deepseek-v3-671b", "awq"), 16)


def test_more_context_than_trained_on_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--context.*131073.*at most 131072"):
        estimated("llama-3.1-8b", context=131073)
    estimated("llama-3.1-8b", context=131072)
