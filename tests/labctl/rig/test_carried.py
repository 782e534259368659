"""Carried cards are read without their schema, and so must be what the schema makes of them."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.rig.catalogue import parse


@pytest.mark.parametrize("name", catalog.gpu_names())
def test_a_carried_card_is_what_the_schema_reads(name: str) -> None:
    text = (catalog.ROOT / "gpus" / f"{name}.yaml").read_text(encoding="utf-8")
    assert replace(catalog.gpu(name), cuda_memory_floor_mib=None, power_curve=None) == parse(text, name)


@pytest.mark.parametrize("name", catalog.gpu_names())
def test_every_card_has_a_measured_memory_or_a_floor(name: str) -> None:
    card = catalog.gpu(name)
    assert (card.cuda_memory_mib is None) != (card.cuda_memory_floor_mib is None)
