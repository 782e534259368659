"""What nvidia-smi answers to the question about power limits."""

from labctl.power.reading import parse
from labctl.rig.reported import Lost

_3090 = "GPU-aa, 00000000:10:00.0, 24576, 280.00, 350.00, 100.00, 375.00, Enabled, NVIDIA GeForce RTX 3090"
_LAPTOP = (
    "GPU-bb, 00000000:20:00.0, 8188, [N/A], [N/A], [Not Supported], 115.50, Disabled, Some, with a comma"
)


def test_cards_by_their_lines() -> None:
    first, second = parse(f"{_3090}\n{_LAPTOP}\n").cards
    assert (first.uuid, first.pci, first.name, first.memory_mib) == (
        "GPU-aa",
        "00000000:10:00.0",
        "NVIDIA GeForce RTX 3090",
        24576,
    )
    assert (first.limit_watts, first.default_watts, first.min_watts, first.max_watts) == (280, 350, 100, 375)
    assert (first.persistence, second.persistence) == (True, False)
    assert (second.limit_watts, second.default_watts, second.min_watts, second.max_watts) == (
        None,
        None,
        None,
        115.5,
    )
    assert second.name == "Some, with a comma"


def test_a_lost_card_is_named_and_the_rest_read_once() -> None:
    for said, pci in (
        (
            "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost.  Reboot",
            "00000000:10:00.0",
        ),
        ("Unable to determine the device handle for GPU 0000:10:00.0: Unknown Error", "00000000:10:00.0"),
        ("Unable to determine the device handle for gpu 0000:10:00.0: GPU is lost.", "00000000:10:00.0"),
        ("Unable to determine the device handle for GPU1: Unknown Error", "card 1"),
    ):
        found = parse(f"{said}\n{said}\n{_LAPTOP}\n{_LAPTOP}\n")
        assert [card.uuid for card in found.cards] == ["GPU-bb"]
        assert [lost.pci for lost in found.lost] == [pci]
        assert found.lost[0].reason.startswith(("GPU is lost", "Unknown Error"))


def test_without_cards_its_own_words_are_kept() -> None:
    mismatch = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95"
    assert parse(mismatch).said == "Failed to initialize NVML: Driver/library version mismatch"
    assert parse("") == parse("\n")
    assert (parse("").said, parse("").cards, parse("").lost) == (None, (), ())
    assert parse(_3090).said is None
    assert isinstance(parse("device handle for GPU1: x").lost[0], Lost)
