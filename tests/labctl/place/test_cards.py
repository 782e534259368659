"""Cards that would do, for who may buy one."""

from hypothesis import given
from hypothesis import strategies as st

from labctl.edges import catalog
from labctl.place.cards import COUNTS, SOLD, enough, imagined
from labctl.place.fit import fit
from labctl.rig.rig import visible_mib
from tests.labctl.place.simulated import Straight, known_gpus, request


@given(st.integers(1000, 400_000))
def test_what_is_said_to_be_enough_holds_it(weights: int) -> None:
    candidate = Straight(weights, 10_000, host_mib=8192)
    found = enough(candidate, "F16", request(), known_gpus())
    for each in found:
        on = fit(candidate, "F16", request(), imagined(each.gpu, each.count))
        assert on.fits
        assert max(on.needs_mib) == each.needs_mib <= each.usable_mib
        assert each.count in COUNTS
        assert each.gpu.unified_memory or each.gpu.title.startswith(SOLD)
        assert each.count == 1 or not each.gpu.unified_memory
    totals = [each.count * each.gpu.memory_mib for each in found]
    assert totals == sorted(totals)


@given(st.integers(1000, 400_000))
def test_no_smaller_card_would_do_and_none_is_named_twice(weights: int) -> None:
    candidate = Straight(weights, 0, host_mib=8192)
    found = enough(candidate, "F16", request(), known_gpus())
    assert len({each.gpu.name for each in found}) == len(found)
    alone = [each for each in found if each.count == 1]
    if alone and not alone[0].gpu.unified_memory:
        smallest = min(each.gpu.memory_mib for each in alone)
        sold = [gpu for gpu in known_gpus() if gpu.title.startswith(SOLD) and gpu.memory_mib < smallest]
        assert not any(fit(candidate, "F16", request(), imagined(gpu, 1)).fits for gpu in sold)


def test_cards_that_an_engine_does_not_run_on_hide_no_others() -> None:
    candidate = Straight(10_000, 0, engine="vllm", quants=("F16",))
    old, new = catalog.gpu("gtx-750-ti"), catalog.gpu("rtx-3090")
    assert [each.gpu for each in enough(candidate, "F16", request(), (old, new))] == [new]


def test_eight_gigabytes_are_named_where_they_do() -> None:
    found = enough(Straight(6000, 0, host_mib=8192), "F16", request(), known_gpus())
    assert (found[0].count, found[0].gpu.memory_mib) == (1, 8192)


def test_an_engine_that_uses_one_card_is_not_offered_two() -> None:
    found = enough(Straight(30_000, 0, engine="comfyui"), "F16", request(), known_gpus())
    assert {each.count for each in found} == {1}


def test_nothing_is_enough_for_everything() -> None:
    assert enough(Straight(4_000_000, 0), "F16", request(), known_gpus()) == ()


def test_cuda_sees_less_than_a_board_has_also_where_nobody_looked() -> None:
    assert all(0.7 * gpu.memory_mib < visible_mib(gpu) < gpu.memory_mib for gpu in known_gpus())
