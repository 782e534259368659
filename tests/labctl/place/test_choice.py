"""The way that is taken of all that fit, and the changes that would make it fit."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.edges.candidates import Wanted, find
from labctl.estimate.claim import Request
from labctl.place.choice import ENOUGH_BITS, GOOD_BITS, best, offload, suggestions
from labctl.place.fit import Fit, fit
from labctl.place.group import Group
from tests.labctl.place.simulated import Straight, all_groups, bits, card, group, request

memories = st.integers(2000, 60_000)


def all_fits(candidate: Straight, groups: tuple[Group, ...], asked: Request | None = None) -> tuple[Fit, ...]:
    return tuple(
        fit(candidate, quant, asked or request(), each) for quant in candidate.quants for each in groups
    )


@given(st.integers(1000, 200_000), st.lists(memories, min_size=1, max_size=4))
def test_the_best_is_what_it_says(weights: int, sizes: list[int]) -> None:
    """The fewest cards on which a format of 4 bits or more fits, and the best there; below that, more cards first."""
    cards = (card(size, index) for index, size in enumerate(sizes))
    fits = all_fits(Straight(weights, 1000), all_groups(*cards))
    able = [each for each in fits if each.fits]
    chosen = best(fits, bits)
    assert (chosen is None) == (not able)
    if chosen is None:
        return
    assert chosen.fits
    good = [each for each in able if bits(each.quant) >= GOOD_BITS]
    if not good:
        assert bits(chosen.quant) == max(bits(each.quant) for each in able)
        return
    fewest = min(len(each.group.cards) for each in good)
    beside = {each.quant for each in good if len(each.group.cards) == fewest}
    assert len(chosen.group.cards) == fewest
    enough = {quant for quant in beside if bits(quant) <= ENOUGH_BITS}
    assert chosen.quant == (max(enough, key=bits) if enough else min(beside, key=bits))


def test_eight_bits_are_enough() -> None:
    chosen = best(all_fits(Straight(10_000, 0), (group(20_000),)), bits)
    assert chosen is not None
    assert chosen.quant == "Q8_0"


def test_more_cards_before_fewer_than_four_bits() -> None:
    chosen = best(all_fits(Straight(40_000, 0), all_groups(card(9000), card(9000, 1))), bits)
    assert chosen is not None
    assert (chosen.quant, len(chosen.group.cards)) == ("Q4_K_M", 2)
    alone = best(all_fits(Straight(40_000, 0), (group(9000),)), bits)
    assert alone is not None
    assert alone.quant == "Q2_K"


@given(
    st.integers(2000, 100_000), st.integers(0, 400_000), memories, st.integers(1, 8), st.integers(300, 60_000)
)
def test_every_suggestion_fits_when_it_is_estimated_anew(
    weights: int, token_bytes: int, size: int, parallel: int, context: int
) -> None:
    candidate, cards = Straight(weights, token_bytes), group(size, ram_mib=20_000)
    asked = request(context, parallel)
    if fit(candidate, "F16", asked, cards).fits:
        return
    for each in suggestions(candidate, "F16", asked, (cards,), bits):
        again = fit(candidate, each.fit.quant, each.fit.request, cards, search=False)
        assert again.fits
        assert again.needs_mib == each.fit.needs_mib
        assert each.change.startswith("--")
        assert "(" not in each.change


def words(candidate: Straight, asked: Request, cards: Group, quant: str = "F16") -> list[str]:
    return [each.change for each in suggestions(candidate, quant, asked, (cards,), bits)]


def test_what_takes_least_away_comes_first() -> None:
    candidate = Straight(16_000, 1_000_000)
    assert words(candidate, request(8192, 2), group(28_000)) == [
        "--context 6144",
        "--parallel 1",
        "--quant Q8_0",
        "--n-gpu-layers 25",
    ]


def test_it_says_how_much_less() -> None:
    (first, *_) = suggestions(Straight(16_000, 1024 * 1024), "F16", request(10_240), (group(20_000),), bits)
    assert (first.change, first.saves_mib) == ("--context 3840", 6400)


def test_a_batch_is_made_smaller_by_its_own_name() -> None:
    trained = Straight(8000, 512 * 1024, engine="training", quants=("F16",))
    assert words(trained, replace(request(4096, 8), engine="training"), group(18_000)) == [
        "--context 2304",
        "--batch 4",
    ]


def test_no_quantized_cache_without_flash_attention() -> None:
    llama = find(Wanted("llama-3.1-8b", quants=("Q4_K_M",))).candidate
    asked = request(131_072)
    with_it = suggestions(llama, "Q4_K_M", asked, (group(16_000),), lambda _: 5.0)
    assert with_it[0].change == "--kv-type q8_0"
    without = suggestions(
        llama, "Q4_K_M", replace(asked, flash_attention=False), (group(16_000),), lambda _: 5.0
    )
    assert "--kv-type q8_0" not in [each.change for each in without]


def test_an_fp8_cache_for_vllm_where_the_card_has_fp8() -> None:
    llama = find(Wanted("llama-3.1-8b", "vllm", ("awq",))).candidate
    asked = replace(request(65_536), engine="vllm")
    on_ada = suggestions(llama, "awq", asked, (group(15_000, gpu="rtx-4090"),), lambda _: 4.0)
    on_ampere = suggestions(llama, "awq", asked, (group(15_000),), lambda _: 4.0)
    assert on_ada[0].change == "--kv-type fp8"
    assert "--kv-type fp8" not in [each.change for each in on_ampere]


@given(st.integers(1000, 60_000), st.integers(500, 60_000), st.booleans())
def test_no_more_is_moved_to_ram_than_must(weights: int, size: int, experts: bool) -> None:
    candidate, cards = Straight(weights, 0, layers=(32, experts)), group(size)
    moved = offload(candidate, "F16", request(), cards)
    if moved is None or fit(candidate, "F16", request(), cards, search=False).fits:
        return
    assert fit(candidate, "F16", moved.request, cards, search=False).fits
    if moved.request.n_cpu_moe:
        less = replace(moved.request, n_cpu_moe=moved.request.n_cpu_moe - 1)
    else:
        less = replace(moved.request, n_gpu_layers=moved.request.n_gpu_layers + 1)
    assert not fit(candidate, "F16", less, cards, search=False).fits


def test_experts_move_where_not_all_of_them_have_room_in_ram() -> None:
    """All experts would be more than the host has; those that must move are not."""
    mixtral = find(Wanted("mixtral-8x7b", quants=("Q4_K_M",))).candidate
    cards = group(20_000, ram_mib=22_000)
    moved = offload(mixtral, "Q4_K_M", request(), cards)
    assert moved is not None
    assert 0 < moved.request.n_cpu_moe < 32
    reason = fit(mixtral, "Q4_K_M", replace(moved.request, n_cpu_moe=32), cards).reason
    assert re.fullmatch(r"\d{4} MiB of RAM short on box", reason or "")


def test_nothing_moves_to_ram_that_is_too_small_or_the_card_s_own() -> None:
    assert offload(Straight(40_000, 0), "F16", request(), group(10_000, ram_mib=20_000)) is None
    assert offload(Straight(40_000, 0), "F16", request(), group(30_000, gpu="dgx-spark")) is None


@pytest.mark.parametrize("groups", [(), (group(40_000),)])
def test_no_suggestion_fails(groups: tuple[Group, ...]) -> None:
    assert all(each.fit.fits for each in suggestions(Straight(1000, 0), "F16", request(), groups, bits))
