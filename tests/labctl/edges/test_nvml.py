"""This machine's cards, by a simulated driver."""

import sys
from pathlib import Path

import pytest

from labctl.edges import catalog, nvml
from labctl.errors import BAD_INPUT, FAILED, Failed
from labctl.place.group import groups
from labctl.rig.host_report import HostReport
from labctl.rig.rig import Card, Rig, default_reserved_mib, visible_mib
from tests.labctl.edges.simulated_nvml import (
    DRIVER_NOT_LOADED,
    GPU_IS_LOST,
    LIBRARY_NOT_FOUND,
    Install,
    SimulatedCard,
    SimulatedNvml,
)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """A simulated driver with these cards."""

    def install(*cards: SimulatedCard, error: int | None = None) -> SimulatedNvml:
        simulated = SimulatedNvml(*cards, error=error)
        device = tmp_path / "nvidiactl"
        device.touch()
        monkeypatch.setattr(nvml, "_DEVICES", (str(device),))
        monkeypatch.setitem(sys.modules, "pynvml", simulated)
        return simulated

    return install


def read() -> Rig:
    rig = nvml.live_rig()
    assert rig is not None
    return rig


def only_card() -> Card:
    (card,) = read().cards
    return card


def test_two_cards(driver: Install) -> None:
    simulated = driver(
        SimulatedCard("NVIDIA GeForce RTX 3090", 24_576, 300, uuid="GPU-a"),
        SimulatedCard("NVIDIA GeForce RTX 3060", 12_288, 200, uuid="GPU-b", limit_watts=170),
    )
    rig = read()
    first, second = rig.cards
    assert (first.id, first.gpu.name, first.index, first.pci) == ("GPU-a", "rtx-3090", 0, "00000000:00:00.0")
    assert (second.id, second.gpu.name, second.power_limit_watts) == ("GPU-b", "rtx-3060", 170)
    assert first.memory_mib == catalog.gpu("rtx-3090").cuda_memory_mib
    assert first.reserved_mib == default_reserved_mib(first.memory_mib or 0)
    # What the driver keeps for itself is no foreign process.
    assert (first.foreign_mib, second.foreign_mib) == (0, 0)
    assert (rig.hosts[0].ram_mib or 0) > 0
    assert not simulated.running


def test_what_others_hold_is_missing(driver: Install) -> None:
    driver(SimulatedCard("NVIDIA GeForce RTX 3090", 24_576, 8000))
    card = only_card()
    assert card.memory_mib is not None
    assert card.memory_mib - card.foreign_mib == 24_576 - 8000
    assert card.usable_mib == 24_576 - 8000 - card.reserved_mib


def test_a_full_card_has_nothing_and_not_less(driver: Install) -> None:
    driver(SimulatedCard("NVIDIA GeForce RTX 3090", 24_576, 24_576))
    assert only_card().usable_mib == 0


@pytest.mark.parametrize(
    ("name", "memory_mib", "found"),
    [
        ("NVIDIA GeForce RTX 3060", 12_288, "rtx-3060"),
        ("NVIDIA GeForce RTX 3060", 8192, "rtx-3060-8gb"),
        ("NVIDIA GeForce RTX 4060 Ti", 8188, "rtx-4060-ti-8gb"),
        ("NVIDIA GeForce RTX 4060 Ti", 16_380, "rtx-4060-ti-16gb"),
        ("NVIDIA GeForce RTX 3080", 12_288, "rtx-3080-12gb"),
        ("NVIDIA GeForce RTX 3080", 10_240, "rtx-3080"),
    ],
)
def test_one_name_and_two_sizes(name: str, memory_mib: int, found: str, driver: Install) -> None:
    driver(SimulatedCard(name, memory_mib))
    assert only_card().gpu.name == found


@pytest.mark.parametrize(
    ("capability", "architecture"),
    [
        ((3, 7), "kepler"),
        ((5, 2), "maxwell"),
        ((6, 1), "pascal"),
        ((7, 0), "volta"),
        ((7, 5), "turing"),
        ((8, 6), "ampere"),
        ((8, 9), "ada"),
        ((9, 0), "hopper"),
        ((10, 0), "blackwell"),
        ((12, 1), "blackwell"),
    ],
)
def test_a_card_nobody_listed(capability: tuple[int, int], architecture: str, driver: Install) -> None:
    """Its memory is what the driver says, all else is unknown: it fits models, and nobody guesses how fast."""
    driver(SimulatedCard("NVIDIA Quantum 9000", 20_000, 100, capability=capability))
    card = only_card()
    assert (card.gpu.title, card.gpu.architecture) == ("NVIDIA Quantum 9000", architecture)
    assert card.gpu.capability == capability
    assert (card.memory_mib, card.foreign_mib, card.gpu.bandwidth_gbs) == (20_000, 100, None)
    assert len(groups(read())) == 1


def test_a_size_that_no_card_of_this_name_has(driver: Install) -> None:
    driver(SimulatedCard("NVIDIA GeForce RTX 3090", 48_000))
    assert (only_card().gpu.title, only_card().memory_mib) == ("NVIDIA GeForce RTX 3090", 48_000)
    assert only_card().gpu.bandwidth_gbs is None


def test_unified_memory_is_the_host_s(driver: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "machine_report", lambda: HostReport("spark", 122_570, 110_000))
    driver(SimulatedCard("NVIDIA GB10", None, capability=(12, 1), limit_watts=None))
    card = only_card()
    assert (card.gpu.name, card.gpu.unified_memory, card.power_limit_watts) == ("dgx-spark", True, None)
    assert card.memory_mib == min(122_570, visible_mib(catalog.gpu("dgx-spark")))
    assert card.usable_mib is not None
    assert card.usable_mib <= 110_000 - card.reserved_mib


def test_unified_memory_of_a_machine_nobody_listed(driver: Install) -> None:
    driver(SimulatedCard("NVIDIA Thing", None, capability=(12, 1)))
    assert only_card().gpu.unified_memory


def test_a_limit_that_cannot_be_read_is_unknown(driver: Install) -> None:
    driver(SimulatedCard("NVIDIA GeForce RTX 3090", 24_576, limit_watts=None))
    assert only_card().power_limit_watts is None


@pytest.mark.parametrize("error", [DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND])
def test_no_driver_is_no_rig(error: int, driver: Install) -> None:
    driver(error=error)
    assert nvml.live_rig() is None


def test_a_driver_without_cards_is_no_rig(driver: Install) -> None:
    simulated = driver()
    assert nvml.live_rig() is None
    assert not simulated.running


def test_without_a_device_the_driver_is_not_asked(driver: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(error=GPU_IS_LOST)
    monkeypatch.setattr(nvml, "_DEVICES", ("/dev/no-such-device",))
    assert nvml.live_rig() is None


def test_a_driver_that_fails_is_told(driver: Install, capsys: pytest.CaptureFixture[str]) -> None:
    from labctl.__main__ import run

    driver(error=GPU_IS_LOST)
    assert run(["fit", "llama-3.1-8b"]) == FAILED != BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("labctl: NVML: the NVIDIA driver does not answer (found simulated NVML error 15)")
    assert said.count("\n") == 1


def test_a_card_that_is_lost_on_the_way_is_told_and_the_driver_let_go(driver: Install) -> None:
    simulated = driver(SimulatedCard("NVIDIA GeForce RTX 3090", 24_576, lost=True))
    with pytest.raises(Failed, match="does not answer"):
        nvml.live_rig()
    assert not simulated.running
