"""What of the catalogue fits, biggest first."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from labctl.place.fit import Fit, fit
from labctl.place.ranking import Entry, Ranked, order, ranked, without_superseded
from tests.labctl.place.simulated import Straight, all_groups, bits, card, group, request


def entry(name: str, weights: int, parameters: int) -> Entry:
    return Entry(Straight(weights, 1000, name=name, parameters=parameters), name.title(), ("chat",))


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
    st.lists(st.integers(1000, 40_000), min_size=1, max_size=3),
)
def test_all_that_is_listed_fits_and_all_that_fits_is_listed(billions: list[int], sizes: list[int]) -> None:
    groups = all_groups(*(card(size, index) for index, size in enumerate(sizes)))
    entries = [entry(f"m{index}", 1907 * each, each * 10**9) for index, each in enumerate(billions)]
    found = order(ranked(entries, request(), groups, bits))
    good = ("Q8_0", "Q4_K_M")
    able = {
        each.candidate.name
        for each in entries
        if any(fit(each.candidate, quant, request(), one).fits for quant in good for one in groups)
    }
    assert {each.name for each in found} == able
    assert all(each.fit.fits and each.fit.quant in good for each in found)
    assert [each.parameters for each in found] == sorted((each.parameters for each in found), reverse=True)


def test_the_best_format_on_the_fewest_cards() -> None:
    groups = all_groups(card(10_000), card(10_000, 1))
    (found,) = ranked([entry("m", 30_000, 15_000_000_000)], request(), groups, bits)
    assert (found.fit.quant, len(found.fit.group.cards)) == ("Q4_K_M", 1)


def test_nothing_fits_nowhere() -> None:
    assert list(ranked([entry("m", 30_000, 15_000_000_000)], request(), (group(100),), bits)) == []


def test_a_model_is_left_out_where_another_took_its_place_and_fits() -> None:
    def ranking(name: str, newer: str | None, *uses: str) -> Ranked:
        return Ranked(name, name, uses, 1, cast("Fit", None), newer)

    one, two = ranking("one", "two", "chat", "code"), ranking("two", "three", "chat")
    three = ranking("three", None, "chat")
    assert without_superseded((one, two, three), "chat") == (three,)
    assert without_superseded((one, three), "chat") == (one, three)  # two does not fit
    assert without_superseded((one, two, three), "code") == (one,)
