"""Rigs from a few words, and files that are none."""

from pathlib import Path

import pytest

from labctl.edges.rigs import read_rig, rig_of
from labctl.errors import BadInput
from labctl.rig.rig import NAMELESS


def test_cards_by_name() -> None:
    rig = rig_of(("rtx-3090:2", "RTX 3060", "nvidia geforce rtx 4090"))
    assert [card.gpu.name for card in rig.cards] == ["rtx-3090", "rtx-3090", "rtx-3060", "rtx-4090"]
    assert [card.id for card in rig.cards] == [f"{NAMELESS}/{index}" for index in range(4)]
    assert rig.hosts[0].ram_mib is None
    assert all(card.usable_mib for card in rig.cards)


@pytest.mark.parametrize(
    "word", ["rtx-3090:0", "rtx-3090:", "rtx-3090:x", "rtx-3090:-1", "rtx-3090:65", "rtx-3090:²"]
)
def test_no_number_of_cards(word: str) -> None:
    with pytest.raises(BadInput, match="--gpu: not a number of cards"):
        rig_of((word,))


@pytest.mark.parametrize(
    "word", ["", "nosuch", "../models/phi-4", "rtx-3090/../rtx-3060", "\0", "/etc/passwd"]
)
def test_no_card(word: str) -> None:
    with pytest.raises(BadInput, match="--gpu: no GPU of that name"):
        rig_of((word,))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, why in (
        (tmp_path, "Is a directory"),
        (binary, "it is no text"),
        (tmp_path / "nosuch", "No such file or directory"),
    ):
        with pytest.raises(BadInput) as refused:
            read_rig(str(path))
        assert str(refused.value).startswith(
            f"{path}: the rig file cannot be read (found {why}) — see workloads/rigs/"
        )
