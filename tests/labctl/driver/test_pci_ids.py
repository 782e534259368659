"""Cards by PCI id."""

import pytest

from labctl.driver.pci_ids import Identity, PciIds
from labctl.edges import catalog
from labctl.edges.preflights import card_ids

LISTED = PciIds(
    {"2204": ("rtx-3090",)}, {"2204": "ampere", "2206": "ampere", "2182": "turing", "2191": "turing"}
)


@pytest.mark.parametrize(
    ("device", "name", "expected"),
    [
        ("2204", "", Identity(("rtx-3090",), "ampere", certain=True)),
        ("2204", "GB202 [misread]", Identity(("rtx-3090",), "ampere", certain=True)),
        ("220F", "", Identity((), "ampere", certain=False)),  # its three digits
        ("22ff", "", Identity((), "ampere", certain=False)),  # its two digits
        ("21ff", "", Identity((), "turing", certain=False)),
        ("3001", "", Identity((), None, certain=False)),
        ("3001", "GB303GL [RTX 9000]", Identity((), "blackwell", certain=False)),
        ("3001", "Device", Identity((), None, certain=False)),
        ("3001", "GRID [vGPU]", Identity((), None, certain=False)),
    ],
)
def test_an_id_says_what_a_card_is(device: str, name: str, expected: Identity) -> None:
    assert LISTED.identify(device, name) == expected


def test_neighbours_that_differ_say_nothing() -> None:
    mixed = PciIds({}, {"2182": "turing", "2180": "ampere"})
    assert mixed.identify("2181").generation is None


def test_every_card_with_a_slot_has_an_id_of_its_own_generation() -> None:
    for card in catalog.gpus():
        ids = card_ids().of_model(card.name)
        assert bool(ids) != card.name.startswith("jetson"), card.name
        for device in ids:
            assert card_ids().identify(device).generation == card.architecture, (card.name, device)


def test_only_cards_of_the_catalogue_are_named() -> None:
    named = {model for models in card_ids().models.values() for model in models}
    assert named <= set(catalog.gpu_names())


@pytest.mark.parametrize(
    ("device", "model"),
    [("2204", "rtx-3090"), ("1b38", "tesla-p40"), ("2b85", "rtx-5090"), ("1db4", "tesla-v100-pcie-16gb")],
)
def test_well_known_ids(device: str, model: str) -> None:
    assert card_ids().identify(device).models == (model,)
