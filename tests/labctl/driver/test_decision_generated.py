"""The decision for every card of the catalogue, alone and beside another, on every system, Secure Boot on and off."""

import pytest

from labctl.driver.decision import Preflight, Request
from labctl.edges import catalog
from labctl.edges.preflights import card_ids, decide, decision_table
from labctl.rig.gpu import Gpu
from tests.labctl.driver.by_document import NO_DRIVER_FOR_BOTH, Answer, Kind, answer, kind
from tests.labctl.driver.hosts import SYSTEMS, device, host

# A card of each kind to put beside every other.
NEIGHBOURS = ("tesla-p40", "rtx-3090", "rtx-5090")
ON_A_BOARD = {"dgx-spark": "2e12"}  # GB10: https://docs.nvidia.com/dgx/dgx-spark/
WITH_A_SLOT = [card for card in catalog.gpus() if not card.unified_memory]
SECURE_BOOT = (False, True)


def asked(*devices: str, system: tuple[str, str], secure_boot: bool) -> Preflight:
    return decide(host(*devices, system=system, secure_boot=secure_boot), Request())


def codes(found: Preflight) -> list[str]:
    return [each.code for each in found.obstacles]


def differs(found: Preflight, expected: Answer | str) -> str:
    """What is not as expected; "" for nothing."""
    if isinstance(expected, str):
        return "" if codes(found) == [expected] and not found.go else f"{codes(found)}, not {expected}"
    decision = found.decision
    if decision is None or not found.go:
        return f"refused: {codes(found)}"
    given = Answer(
        decision.source,
        decision.branch,
        decision.flavour,
        decision.packages[0],
        decision.cuda.package if decision.cuda else None,
    )
    if decision.source == "nvidia" and decision.first != (f"nvidia-driver-pinning-{decision.branch}",):
        return f"the branch is not pinned: {decision.first}"
    return "" if given == expected else f"{given}, not {expected}"


def held_against_documents(cards: tuple[Gpu, ...], system: tuple[str, str], *, secure_boot: bool) -> str:
    """What differs, with every id that each of the cards goes by."""
    kinds: set[Kind] = {each for card in cards if (each := kind(card.capability))}
    found_wrong = []
    for pci in card_ids().of_model(cards[0].name):
        found = asked(pci, *(device(each.name) for each in cards[1:]), system=system, secure_boot=secure_boot)
        if any(kind(card.capability) is None for card in cards):
            expected: Answer | str = "too-old"
            page = (
                "https://forums.developer.nvidia.com/t/current-graphics-driver-releases/28500 (470 is legacy)"
            )
        else:
            expected, page = answer(kinds, system, secure_boot=secure_boot)
            known = {
                (*system, card.name, each) for card in cards for each in kinds
            } & NO_DRIVER_FOR_BOTH.keys()
            expected = NO_DRIVER_FOR_BOTH[known.pop()] if known else expected
        wrong = differs(found, expected)
        if wrong:
            found_wrong.append(f"{pci} {[card.name for card in cards]}: {wrong} ({page})")
    return "\n".join(found_wrong)


@pytest.mark.parametrize("secure_boot", SECURE_BOOT, ids=("secure-boot-off", "secure-boot-on"))
@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_every_card_alone(system: tuple[str, str], secure_boot: bool) -> None:
    wrong = [held_against_documents((card,), system, secure_boot=secure_boot) for card in WITH_A_SLOT]
    assert "\n".join(each for each in wrong if each) == ""


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_every_card_beside_another(system: tuple[str, str], neighbour: str) -> None:
    other = catalog.gpu(neighbour)
    wrong = [held_against_documents((card, other), system, secure_boot=False) for card in WITH_A_SLOT]
    assert "\n".join(each for each in wrong if each) == ""


@pytest.mark.parametrize("secure_boot", SECURE_BOOT)
@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_pascal_and_blackwell_are_refused(system: tuple[str, str], secure_boot: bool) -> None:
    found = asked(device("tesla-p40"), device("rtx-5090"), system=system, secure_boot=secure_boot)
    assert codes(found) == ["mixed"]
    assert not found.go
    assert "Tesla P40 (pascal) and GeForce RTX 5090 (blackwell)" in found.obstacles[0].message


def test_all_kinds_of_the_catalogue_are_among_the_cases() -> None:
    assert {kind(card.capability) for card in WITH_A_SLOT} == {None, "old", "middle", "new"}
    assert len(WITH_A_SLOT) + sum(card.unified_memory for card in catalog.gpus()) == len(catalog.gpus())
    assert all(card_ids().of_model(card.name) for card in WITH_A_SLOT)


@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_a_card_inside_a_processor_is_its_makers(system: tuple[str, str]) -> None:
    boards = {card.name for card in catalog.gpus() if card.unified_memory}
    assert boards == {name for row in decision_table().boards for name in row.models}
    for name, pci in ON_A_BOARD.items():
        assert card_ids().identify(pci).models == (name,)
        assert codes(asked(pci, system=system, secure_boot=False)) == ["board"]


def test_every_row_says_where_it_is_from() -> None:
    table = decision_table()
    sources = [
        *(row.source for row in table.architectures),
        *(row.source for row in table.branches),
        *(row.source for row in table.systems),
        *(row.source for row in table.boards),
        *(offer.url for offer in table.offers),
        table.late_cards.source,
    ]
    assert all(source.startswith("https://") for source in sources)
    assert {row.name for row in table.architectures} == {card.architecture for card in catalog.gpus()}


@pytest.mark.parametrize(("model", "first"), [("rtx-4070-super", 550), ("rtx-a400", 550), ("h200-nvl", 580)])
def test_a_late_card_is_not_given_an_older_driver(model: str, first: int) -> None:
    """Their names are in none of NVIDIA's lists before; see the table's `late_cards`."""
    for system in SYSTEMS:
        found = decide(host(device(model), system=system), Request(source="distribution"))
        if found.decision:
            assert found.decision.branch >= first
        else:
            assert codes(found) == ["undriven"]
