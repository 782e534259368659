"""What llama.cpp takes beyond what its own plan prints."""

from dataclasses import replace

import pytest

from labctl.errors import BadInput
from labctl.estimate.claim import MIB, Request
from labctl.estimate.llama_cpp.estimate import HELD_AGAINST_THE_ENGINE, estimate
from labctl.models.model import Model, Tensor
from tests.oracle.shapes import SHAPES
from tests.oracle.test_llama_cpp import model

LLAMA = Request("llama.cpp", 8192)


def test_a_quantized_cache_is_copied_in_prefill() -> None:
    """512 MiB for Llama-8B at 131072 (facts: seen in CUDA's scratch)."""
    quantized = estimate(
        model("llama-3.1-8b"), replace(LLAMA, context=131072, kv_type_k="q8_0", kv_type_v="q8_0")
    )
    plain = estimate(model("llama-3.1-8b"), replace(LLAMA, context=131072))
    assert quantized.of("scratch") - plain.of("scratch") == 512 * MIB


@pytest.mark.parametrize(
    ("name", "request_", "mib"),
    [
        # The engine's own graph (0.7.0, printed for RPC devices), cut by the rule that it has for CUDA.
        ("mixtral-8x7b", replace(LLAMA, n_gpu_layers=10), 413.0),
        ("mixtral-8x7b", replace(LLAMA, context=16384, n_cpu_moe=99), 412.0),
        ("jamba-mini", replace(LLAMA, n_gpus=2, tensor_split=(1, 2), n_gpu_layers=12), 640.1),
        ("qwen3-next-80b", replace(LLAMA, context=16384, n_cpu_moe=99), 618.0),
        ("llama-3.1-70b", replace(LLAMA, n_gpu_layers=10), 326.0),
    ],
)
def test_large_batches_of_the_host_are_computed_on_the_first_card(
    name: str, request_: Request, mib: float
) -> None:
    card = estimate(model(name), request_).cards[0]
    borrowed = [term for term in card.terms if "large batches" in term.name]
    assert card.of("compute") + sum(term.expected for term in borrowed) == pytest.approx(mib * MIB, abs=MIB)
    one_by_one = estimate(model(name), replace(request_, ubatch=16)).cards[0]
    assert not any("large batches" in term.name for term in one_by_one.terms)


def test_nothing_is_copied_for_large_batches_where_nothing_is_on_the_host() -> None:
    found = estimate(model("mixtral-8x7b"), replace(LLAMA, n_gpus=2))
    assert not any("large batches" in term.name for card in found.cards for term in card.terms)


def test_the_host_keeps_prompts() -> None:
    host = estimate(model("llama-3.1-8b"), LLAMA).host
    assert host.high - host.expected >= 8192 * MIB
    assert estimate(model("llama-3.1-8b"), replace(LLAMA, prompt_cache_mib=0)).host.high < 1024 * MIB


def test_every_used_card_has_a_context_of_its_own() -> None:
    found = estimate(model("llama-3.1-8b"), replace(LLAMA, n_gpus=2, tensor_split=(1, 0)))
    assert [card.of("context_overhead") > 0 for card in found.cards] == [True, False]


def test_a_vision_part_lies_on_the_first_card() -> None:
    part = Tensor("v.patch_embd.weight", "f16", (1024, 1024), 2 * MIB)
    mmproj = replace(model("llama-3.2-1b"), kind="mmproj", tensors=(part,))
    alone = estimate(model("gemma-3-27b"), replace(LLAMA, n_gpus=2))
    both = estimate(model("gemma-3-27b"), replace(LLAMA, n_gpus=2, mmproj=mmproj))
    assert both.cards[0].of("weights") - alone.cards[0].of("weights") == 2 * MIB
    assert both.cards[1] == alone.cards[1]


def test_a_draft_model_comes_on_top() -> None:
    alone = estimate(model("llama-3.1-8b"), LLAMA)
    draft = estimate(model("llama-3.2-1b"), LLAMA)
    both = estimate(model("llama-3.1-8b"), replace(LLAMA, draft=model("llama-3.2-1b")))
    for part in ("weights", "kv_cache", "compute"):
        assert both.of(part) == alone.of(part) + draft.of(part)
    assert both.of("context_overhead") == alone.of("context_overhead")


def test_terms_say_where_they_come_from() -> None:
    found = estimate(model("deepseek-v3"), LLAMA)
    for place in (*found.cards, found.host):
        for term in place.terms:
            assert term.low <= term.expected <= term.high
            assert term.formula
            assert term.source


def test_what_was_never_compared_is_less_certain() -> None:
    assert {model(name).architecture for name in SHAPES} == HELD_AGAINST_THE_ENGINE
    assert estimate(model("llama-3.1-8b"), LLAMA).confidence == "high"
    unsure = replace(model("llama-3.1-8b"), architecture="mistral3")
    assert estimate(unsure, LLAMA).confidence == "medium"


def test_a_model_without_a_tensor_table_is_refused() -> None:
    bare: Model = replace(model("llama-3.1-8b"), tensors=())
    with pytest.raises(BadInput, match="GGUF"):
        estimate(bare, LLAMA)


@pytest.mark.parametrize(
    "senseless",
    [replace(LLAMA, tensor_split=(1.0, 1.0)), replace(LLAMA, kv_type_k="q9"), replace(LLAMA, context=0)],
)
def test_requests_without_sense_are_refused(senseless: Request) -> None:
    with pytest.raises(BadInput):
        estimate(model("llama-3.1-8b"), senseless)
