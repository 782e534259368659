"""What CUDA shows of a card: as measured where it was, never promised too high where it was not."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.rig.gpu import Gpu
from labctl.rig.visible_memory import lower_bound, visible_memory

CARDS = catalog.gpus()
MEASURED = [card for card in CARDS if card.cuda_memory_mib is not None]
OTHERS = [card for card in CARDS if card.cuda_memory_mib is None]


def _ids(card: Gpu) -> str:
    return card.name


@pytest.mark.parametrize("card", MEASURED, ids=_ids)
def test_no_measured_card_shows_less_than_the_bound_that_the_others_make(card: Gpu) -> None:
    bound = lower_bound(card, [other for other in CARDS if other.name != card.name])
    assert not bound.measured
    # Within 10 % of it, lest the bound be useless; the worst is the one large Maxwell card.
    assert 0.89 * (card.cuda_memory_mib or 0) < bound.mib <= (card.cuda_memory_mib or 0)


@pytest.mark.parametrize("card", MEASURED, ids=_ids)
def test_a_measured_card_is_what_was_measured(card: Gpu) -> None:
    found = visible_memory(card, CARDS)
    assert (found.mib, found.measured) == (card.cuda_memory_mib, True)
    assert found.source


@pytest.mark.parametrize("card", OTHERS, ids=_ids)
def test_a_card_that_was_not_measured_gets_a_bound(card: Gpu) -> None:
    found = catalog.visible_memory(card.name)
    assert not found.measured
    assert 0.73 * card.memory_mib < found.mib < card.memory_mib - 128
    assert "lower bound" in found.source


def test_ecc_in_gddr_takes_a_sixteenth() -> None:
    card = replace(catalog.gpu("rtx-a5500"), cuda_memory_mib=None)
    without, with_ecc = lower_bound(card, CARDS).mib, lower_bound(replace(card, name="a10"), CARDS).mib
    assert without - with_ecc == card.memory_mib // 16
    hbm = replace(card, name="a30", compute_capability="8.0")
    assert lower_bound(hbm, CARDS).mib == without


def test_unified_memory_is_held_against_unified_memory() -> None:
    spark = catalog.gpu("dgx-spark")
    assert lower_bound(spark, CARDS).mib <= 0.935 * spark.memory_mib
    assert lower_bound(replace(spark, unified_memory=False), CARDS).mib > 0.98 * spark.memory_mib


def test_without_any_measured_card_a_tenth_is_left() -> None:
    card = catalog.gpu("rtx-3090")
    assert lower_bound(card, []).mib == int(0.9 * card.memory_mib - 128)
