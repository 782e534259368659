"""Bars hold to their scale whatever is in them, and blocks are told apart without colour."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.place_bars import ASCII, UNICODE, Fills, Palette, bar, lengths, palette, shares
from labctl.cli.place_picture import Block, CardPicture, HostPicture
from labctl.place.power import Power
from labctl.rig.rig import Host

amounts = st.lists(st.integers(0, 100_000), min_size=1, max_size=12).filter(any)
named_amounts = st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,14}", fullmatch=True), st.integers(1, 30_000))


def card(*blocks: Block) -> CardPicture:
    return CardPicture((), sum(each.mib for each in blocks), blocks, (), unified=False, notes=())


def workload(name: str, mib: int, of_mib: int | None = None) -> Block:
    return Block("workload", name, mib, of_mib)


def host(*cards: CardPicture) -> HostPicture:
    return HostPicture(Host("here", ()), cards, 0, 0, Power(0, 0, 0, None, None, None))


@given(amounts, st.integers(40, 80))
def test_cells_are_shared_out_to_scale(given_amounts: list[int], cells: int) -> None:
    found = shares(given_amounts, sum(given_amounts), cells)
    assert sum(found) == cells
    for amount, count in zip(given_amounts, found, strict=True):
        assert (count > 0) == (amount > 0)
        # Half a cell at either end, and what the small ones are given for being there at all.
        assert abs(count - cells * amount / sum(given_amounts)) <= 1 + len(given_amounts)


@given(st.lists(st.integers(1000, 100_000), min_size=1, max_size=6))
def test_without_tiny_blocks_no_error_is_over_a_cell(sizes: list[int]) -> None:
    found = shares(sizes, sum(sizes), 80)
    if min(sizes) * 80 >= 2 * sum(sizes):
        assert all(abs(count - 80 * size / sum(sizes)) <= 1 for count, size in zip(found, sizes, strict=True))


@given(
    st.lists(named_amounts, min_size=1, max_size=9, unique_by=lambda each: each[0]),
    st.integers(40, 80),
    st.sampled_from([UNICODE, ASCII]),
)
def test_a_bar_is_as_long_as_it_should_be_and_names_everything(
    loads: list[tuple[str, int]], cells: int, fills: Fills
) -> None:
    blocks = [
        *(workload(*each) for each in loads),
        Block("free", "free", 4000),
        Block("margin", "margin", 1000),
    ]
    found = bar(blocks, sum(each.mib for each in blocks), cells, Palette(fills))
    text = found.text(colour=False)
    assert len(text) == cells
    letters = [letter for letter, _ in found.legend if letter]
    assert len(set(letters)) == len(letters)
    for letter, block in found.legend:
        assert (letter or block.name) in text
    explained = {block.name for _, block in found.legend}
    for name, mib in loads:
        assert name in explained or f"{name} {mib / 1024:.1f}" in text


def test_names_that_do_not_fit_have_a_letter_each() -> None:
    blocks = (workload("search", 1000), workload("speech", 1000), workload("chat", 30_000))
    found = bar(blocks, 32_000, 40, Palette(UNICODE, {"search": 0, "speech": 1, "chat": 2}))
    assert [(letter, block.name) for letter, block in found.legend] == [("S", "search"), ("P", "speech")]
    assert found.text(colour=False).startswith("SP▌")


def test_a_share_of_several_cards_says_so() -> None:
    found = bar([workload("llama", 21_000, 84_000)], 21_000, 80, Palette(UNICODE))
    assert " llama 20.5 of 82.0 GiB " in found.text(colour=False)


@pytest.mark.parametrize("fills", [UNICODE, ASCII])
def test_every_fill_is_another(fills: Fills) -> None:
    every = [*fills.workloads, *fills.other.values()]
    assert len(set(every)) == len(every)
    assert all(len(each) == 1 for each in every)


def test_a_workload_has_one_fill_and_nobody_on_its_cards_the_same() -> None:
    first = card(workload("a", 5), workload("b", 4), workload("c", 3))
    second = card(workload("d", 5), workload("b", 4))
    found = palette([host(first, second)], UNICODE)
    assert len({found.fill(block) for block in first.blocks}) == 3
    assert len({found.fill(block) for block in second.blocks}) == 2
    assert len(set(found.of.values())) == 4


def test_more_workloads_than_fills_share_them_evenly() -> None:
    many = [workload(f"w{number}", 100) for number in range(15)]
    found = palette([host(card(*many))], UNICODE)
    counts = [list(found.of.values()).count(each) for each in set(found.of.values())]
    assert sorted(counts) == [2, 2, 2, 2, 2, 2, 3]


def test_bars_compare_by_memory_until_the_smallest_would_hold_no_name() -> None:
    large, half, small = (card(Block("free", "free", mib)) for mib in (24_000, 12_000, 4_000))
    assert lengths([large, half], 80) == [80, 40]
    assert lengths([large, half, small], 80) == [80, 80, 80]
    assert lengths([large, half], 44) == [44, 44]
    assert lengths([], 80) == []
