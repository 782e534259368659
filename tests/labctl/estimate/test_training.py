"""Training: what each choice adds or saves, and which moment is the peak."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.estimate import training
from labctl.estimate.claim import MIB
from labctl.estimate.training_activations import activation_term, kept_bytes
from labctl.estimate.training_request import Targets, TrainingRequest

LLAMA = catalog.model("llama-3.2-3b", "bf16")
FULL = TrainingRequest("full", 2, 4096, precision="bf16", checkpointing="none")


def expected(request: TrainingRequest) -> int:
    return training.estimate(LLAMA, request).cards[0].expected


def test_each_technique_of_torchtunes_table_saves_something() -> None:
    steps = [
        FULL,
        replace(FULL, compiled=True, compiled_loss=True),
        replace(FULL, compiled=True, compiled_loss=True, loss_chunks=8),
        replace(FULL, compiled=True, compiled_loss=True, loss_chunks=8, checkpointing="full"),
    ]
    sizes = [expected(each) for each in steps]
    assert sizes == sorted(sizes, reverse=True)
    fused = replace(steps[-1], fused_backward=True)
    assert expected(fused) < sizes[-1]
    assert expected(replace(fused, checkpointing="offloaded")) < expected(fused)


def test_with_checkpoints_the_end_of_the_backward_pass_is_the_peak() -> None:
    """All gradients and one layer: the checkpoints and logits of the beginning are gone by then."""
    request = replace(FULL, checkpointing="full", compiled=True, loss_chunks=8, compiled_loss=True)
    gradients = 2 * LLAMA.parameters.total
    term = activation_term(LLAMA, request, gradients)
    one_layer = 8192 * (16.8 * 3072 + 6 * 8192)
    assert term.expected == pytest.approx(one_layer, abs=2)
    assert activation_term(LLAMA, replace(request, sequence=32768), gradients).expected > 8 * one_layer


def test_a_frozen_matrix_needs_no_input_for_its_backward() -> None:
    lora, qlora = replace(FULL, method="lora"), replace(FULL, method="qlora")
    assert kept_bytes(LLAMA, lora, 8192) < kept_bytes(LLAMA, qlora, 8192)


def test_moments_have_the_type_of_what_they_belong_to() -> None:
    mixed = training.estimate(LLAMA, replace(FULL, precision="mixed")).cards[0].of("weights")
    plain = training.estimate(LLAMA, FULL).cards[0].of("weights")
    assert mixed / LLAMA.parameters.total == pytest.approx(16, rel=0.001)
    assert plain / LLAMA.parameters.total == pytest.approx(8, rel=0.001)


@pytest.mark.parametrize(("targets", "trained"), [("qv", 4_194_304), ("attention", 8_388_608)])
def test_adapters_on_queries_and_values_are_as_many_as_litgpt_prints(targets: Targets, trained: int) -> None:
    request = TrainingRequest("lora", 1, 1304, lora_rank=8, lora_targets=targets)
    assert training.trainable_parameters(catalog.model("llama-2-7b", "bf16"), request) == trained


def test_the_allocator_may_reserve_what_never_meets() -> None:
    terms = {term.name: term for term in training.estimate(LLAMA, FULL).cards[0].terms}
    assert terms["allocator"].expected > 200 * MIB
    assert terms["allocator"].low == 0
