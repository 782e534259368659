"""Which clocks a card is locked to, and what nvidia-smi says of clocks."""

import pytest

from labctl.errors import BadInput
from labctl.power import clock_reading
from labctl.power.clocks import ClockedCard, Span, WantedClocks, locks

A3090 = ClockedCard("GPU-a", "rtx-3090", {"graphics": Span(210, 2100), "memory": Span(405, 9751)})
A4090 = ClockedCard("GPU-b", "rtx-4090", {"graphics": Span(None, 3105)}, ("NVIDIA GeForce RTX 4090",))
MAXWELL = ClockedCard("GPU-c", "m40", {})


def test_the_closest_name_counts_for_each_kind_by_itself() -> None:
    graphics = {"all": (300, 1200), "GeForce RTX 4090": (210, 2200), "GPU-a": (210, 1400)}
    wanted = WantedClocks({"graphics": graphics, "memory": {"rtx-3090": (405, 5001)}})
    assert locks([A3090, A4090], wanted) == {
        "GPU-a": {"graphics": (210, 1400), "memory": (405, 5001)},
        "GPU-b": {"graphics": (210, 2200)},
    }
    assert locks([A3090, A4090], WantedClocks({"memory": {"GPU-a": (405, 405)}})) == {
        "GPU-a": {"memory": (405, 405)}
    }


def test_the_ends_of_a_range_are_in_it() -> None:
    for lock in ((210, 2100), (2100, 2100)):
        assert locks([A3090], WantedClocks({"graphics": {"all": lock}})) == {"GPU-a": {"graphics": lock}}
    for lock in ((209, 2100), (210, 2101)):
        with pytest.raises(BadInput, match="within 210 to 2100 MHz"):
            locks([A3090], WantedClocks({"graphics": {"all": lock}}))


def test_a_clock_that_cannot_be_locked_is_said_to_be() -> None:
    for card, kind in ((MAXWELL, "graphics"), (A4090, "memory")):
        with pytest.raises(BadInput, match=f"the {kind} clock of {card.model} {card.id} cannot be locked"):
            locks([card], WantedClocks({kind: {"all": (405, 810)}}))


def test_nothing_asked_for_is_nothing() -> None:
    assert not WantedClocks({"graphics": {}, "memory": {}})
    assert locks([A3090], WantedClocks()) == {}


def test_what_a_card_does_not_tell_is_not_there() -> None:
    row = "{}, 00000000:10:00.0, {}, {}, {}, {}, {}, NVIDIA, with a comma\n"
    lost = "Unable to determine the device handle for GPU0: 0000:41:00.0: GPU is lost.  Reboot the system\n"
    said = (
        lost
        + row.format("GPU-a", 24576, 1695, 9501, 2100, 9751)
        + row.format("GPU-b", "[N/A]", "[N/A]", "[N/A]", "[Unknown Error]", "[N/A]")
        + "supported GPU-a 210 2100 405 9751\n"
    )
    found = clock_reading.parse(said)
    first, second = found.cards
    assert (first.now_mhz, first.memory_mib) == ({"graphics": 1695, "memory": 9501}, 24576)
    assert first.supported == {"graphics": Span(210, 2100), "memory": Span(405, 9751)}
    assert (second.now_mhz, second.supported, second.memory_mib) == ({}, {}, None)
    assert second.name == "NVIDIA, with a comma"
    assert second.above({"graphics": (210, 300)}) == ()
    assert first.above({"graphics": (210, 1400), "memory": (405, 9501)}) == ("graphics",)
    assert [each.pci for each in found.lost] == ["00000000:41:00.0"]
    assert found.said is None
