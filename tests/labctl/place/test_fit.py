"""Whether it fits, how far the context goes, and that neither depends on what must not matter."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.edges.candidates import Wanted, find
from labctl.estimate.claim import MIB, mib
from labctl.place.fit import CONTEXT_STEP, LEAST_CONTEXT, fit, largest_context, needs_mib, on_cards
from labctl.place.group import Group
from tests.labctl.place.simulated import Straight, all_groups, card, group, request

LLAMA = find(Wanted("llama-3.2-1b")).candidate
GEMMA = find(Wanted("gemma-3-1b")).candidate
memories = st.integers(512, 40_000)
straight = st.builds(
    Straight,
    weights_mib=st.integers(100, 60_000),
    token_bytes=st.integers(0, 1_000_000),
    step_bytes=st.integers(0, 300 * MIB),
    context_train=st.sampled_from([512, 2048, 2049, 4096, 40_960, 131_072, 131_073]),
    refused_from=st.sampled_from([None, None, 3000, 50_000]),
)


def fits(candidate: Straight, context: int, cards: Group, parallel: int = 1) -> bool:
    return fit(candidate, "F16", request(context, parallel), cards, search=False).fits


def assert_largest(found: int | None, candidate: Straight, cards: Group, parallel: int = 1) -> None:
    most = candidate.context_train
    if found is None:
        assert not fits(candidate, min(LEAST_CONTEXT, most), cards, parallel)
        return
    assert found <= most
    assert fits(candidate, found, cards, parallel)
    assert found == most or not fits(candidate, min(found + CONTEXT_STEP, most), cards, parallel)
    assert found == most or found % CONTEXT_STEP == 0


@given(straight, st.lists(memories, min_size=1, max_size=4), st.integers(1, 8))
def test_the_largest_context_is_the_largest(candidate: Straight, sizes: list[int], parallel: int) -> None:
    cards = group(*sizes)
    asked = on_cards(request(parallel=parallel), cards, candidate.engine)
    assert_largest(largest_context(candidate, "F16", asked, cards), candidate, cards, parallel)


@given(straight, memories, st.integers(1, 140_000))
def test_what_is_known_already_changes_nothing(candidate: Straight, size: int, context: int) -> None:
    cards = group(size)
    blind = largest_context(candidate, "F16", request(), cards)
    known = (context, fits(candidate, context, cards))
    assert largest_context(candidate, "F16", request(), cards, known) == blind


@settings(max_examples=12)
@given(st.integers(1500, 12_000), st.integers(1, 4), st.sampled_from([LLAMA, GEMMA]))
def test_the_largest_context_of_real_models(size: int, parallel: int, candidate: Straight) -> None:
    cards = group(size)
    found = largest_context(candidate, "Q4_K_M", request(parallel=parallel), cards)
    if found is None:
        return
    asked = request(found, parallel)
    assert fit(candidate, "Q4_K_M", asked, cards, search=False).fits
    more = replace(asked, context=found + CONTEXT_STEP)
    at_most = found == candidate.context_train
    assert at_most or not fit(candidate, "Q4_K_M", more, cards, search=False).fits


@given(straight, st.lists(memories, min_size=1, max_size=4), st.integers(0, 20_000), st.integers(1, 140_000))
def test_more_memory_never_fits_less(candidate: Straight, sizes: list[int], more: int, context: int) -> None:
    less = fit(candidate, "F16", request(context), group(*sizes))
    roomier = fit(candidate, "F16", request(context), group(*(size + more for size in sizes)))
    # Shares follow what is usable, and those of unlike cards come out otherwise; of like ones they do not.
    if len(set(sizes)) == 1:
        assert roomier.fits >= less.fits
        assert (roomier.context or 0) >= (less.context or 0)


@pytest.mark.parametrize("candidate", [LLAMA, GEMMA])
def test_more_memory_never_fits_less_of_real_models(candidate: Straight) -> None:
    reached = [fit(candidate, "Q8_0", request(), group(size)).context or 0 for size in range(1024, 9000, 777)]
    assert reached == sorted(reached)
    assert reached[0] == 0
    assert reached[-1] == candidate.context_train


@given(
    straight,
    st.lists(
        st.tuples(memories, st.sampled_from(["rtx-3090", "rtx-3060", "tesla-p40"])), min_size=1, max_size=4
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_cards_changes_nothing(
    candidate: Straight, kinds: list[tuple[int, str]], random: object
) -> None:
    """Only their numbers."""
    shuffled = sorted(kinds, key=lambda _: random.random())  # type: ignore[attr-defined] # hypothesis types it as object

    def verdicts(order: list[tuple[int, str]]) -> set[tuple[object, ...]]:
        cards = (card(size, index, kind) for index, (size, kind) in enumerate(order))
        return {
            (each.group.title, each.group.usable_mib, each.fits, each.context, each.needs_mib)
            for each in (fit(candidate, "F16", request(), one) for one in all_groups(*cards))
        }

    assert verdicts(kinds) == verdicts(shuffled)


def test_the_reason_names_the_card_that_lacks_most_and_how_much() -> None:
    found = fit(Straight(30_000, 0), "F16", request(), group(10_000, 10_000))
    assert found.reason == "5000 MiB short on box/0"
    assert found.short_mib == 5000
    assert found.context is None


def test_ram_that_is_short_is_a_reason_and_unknown_ram_is_none() -> None:
    asked = replace(request(), n_gpu_layers=0)
    assert (
        fit(Straight(9000, 0), "F16", asked, group(10_000, ram_mib=8000)).reason
        == "1000 MiB of RAM short on box"
    )
    assert fit(Straight(9000, 0), "F16", asked, group(10_000, ram_mib=8000)).context is None
    assert fit(Straight(9000, 0), "F16", asked, group(10_000)).fits


def test_with_unified_memory_the_host_s_part_is_the_card_s() -> None:
    asked, spark = replace(request(), n_gpu_layers=17), group(10_000, ram_mib=10_000, gpu="dgx-spark")
    half = fit(Straight(9900, 0), "F16", asked, spark)
    assert half.estimate is not None
    assert half.needs_mib == (9900,)
    assert half.fits
    assert not fit(Straight(10_100, 0), "F16", asked, spark).fits
    assert fit(Straight(10_100, 0), "F16", asked, group(10_000)).fits
    assert needs_mib(half.estimate, group(10_000)) == (mib(half.estimate.cards[0].high),)


def test_unified_memory_bounds_the_context_too() -> None:
    spark = group(10_000, gpu="dgx-spark")
    asked = replace(request(), n_gpu_layers=17)
    found = largest_context(Straight(9000, 65_536), "F16", asked, spark)
    assert found == 16_000 // CONTEXT_STEP * CONTEXT_STEP


def test_an_engine_that_keeps_a_model_on_one_card_says_so() -> None:
    flux = find(Wanted("flux.1-dev")).candidate
    found = fit(flux, "nf4", replace(request(), engine="comfyui"), group(24_000, 24_000))
    assert (found.estimate, found.reason) == (None, "comfyui keeps a model on one card")


def test_vllm_wants_cards_of_one_capability_and_not_too_old() -> None:
    vllm = find(Wanted("llama-3.2-1b", engine="vllm")).candidate
    asked = replace(request(), engine="vllm")
    mixed = all_groups(card(24_000), card(12_000, 1, "rtx-2060-12gb"))[-1]
    reason = "vllm shares a model among cards of one compute capability only"
    assert fit(vllm, "bf16", asked, mixed).reason == reason
    unequal = all_groups(card(24_000), card(12_000, 1, "rtx-3060"))[-1]
    assert fit(vllm, "bf16", asked, unequal).fits
    old = fit(vllm, "bf16", asked, group(24_000, gpu="tesla-p40")).reason
    assert old == "vLLM needs compute capability 7.0, Tesla P40 has 6.1"


def test_heads_that_cannot_be_dealt_out_are_a_reason() -> None:
    vllm = find(Wanted("llama-3.2-1b", engine="vllm")).candidate
    found = fit(vllm, "bf16", replace(request(), engine="vllm"), group(24_000, 24_000, 24_000))
    assert found.reason is not None
    assert "32 heads on 3 cards" in found.reason


def test_unlike_cards_share_by_what_is_usable() -> None:
    cards = all_groups(card(24_000), card(12_000, 1, "rtx-3060"))[-1]
    assert on_cards(request(), cards, "llama.cpp").tensor_split == (24_000.0, 12_000.0)
    assert on_cards(request(), group(8000, 8000), "llama.cpp").tensor_split is None
    assert on_cards(request(), group(8000, 8000), "vllm").tensor_parallel == 2


def test_a_prompt_cache_never_stands_in_the_way() -> None:
    """llama-server makes it as large as it may be; what a run cannot do without is the rest."""
    llama = find(Wanted("llama-3.2-1b", quants=("Q8_0",))).candidate
    found = fit(llama, "Q8_0", request(), group(24_000, ram_mib=2_000))
    assert found.estimate is not None
    assert found.estimate.host.high > 2_000 * MIB
    assert found.fits


def test_a_card_that_only_helps_still_takes_memory() -> None:
    llama = find(Wanted("llama-3.1-8b", quants=("Q8_0",))).candidate
    found = fit(llama, "Q8_0", replace(request(), n_gpu_layers=0), group(24_000))
    assert found.estimate is not None
    (card_,) = found.estimate.cards
    assert card_.of("weights") == card_.of("kv_cache") == 0
    assert card_.high > 800 * MIB


def test_a_card_in_prohibited_mode_is_left_alone() -> None:
    off = replace(card(24_000), compute_mode="prohibited")
    assert all_groups(off) == ()
