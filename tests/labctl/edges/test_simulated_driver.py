"""This machine's cards through NVML, on a simulated driver."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from labctl.edges import catalog, nvml
from labctl.errors import Failed
from labctl.rig.reported import Process
from labctl.rig.rig import Card, Host, Pcie, default_reserved_mib
from tests.labctl.edges.simulated_driver import KINDS, SimulatedDriver, simulated_driver, simulated_library
from tests.simulated_nvml.build import compiler
from tests.simulated_nvml.description import uuid_of

__all__ = ["simulated_driver", "simulated_library"]


def card(index: int, model: str = "rtx-3090", **values: object) -> Card:
    gpu = catalog.gpu(model)
    memory_mib = gpu.cuda_memory_mib or gpu.memory_mib - 500
    plain: dict[str, object] = {
        "id": uuid_of(index),
        "host": os.uname().nodename,
        "index": index,
        "gpu": gpu,
        "memory_mib": memory_mib,
        "reserved_mib": default_reserved_mib(memory_mib),
        "power_limit_watts": 280,
        "power_default_watts": 350,
        "power_min_watts": 100,
        "power_max_watts": 366,
        "pci": f"00000000:{16 * (index + 1):02X}:00.0",
        "pcie": Pcie(3, 8, 4, 16),
        "display": False,
    }
    return Card(**(plain | values))  # type: ignore[arg-type]  # the keys are the test's own


def host(*cards: Card) -> Host:
    return Host("box", cards)


PAIR = host(card(0, nvlink=(1,)), card(1, nvlink=(0,), display=True, foreign_mib=700))
# Every switch that placement refuses a card for, and the cards that have them.
DATA_CENTRE = host(
    card(0, "a100-sxm4-80gb", ecc=True, mig=True, power_max_watts=400),
    card(1, "tesla-p40", ecc=True, ecc_pending=False, power_max_watts=250),
    card(2, "quadro-m2000", compute_mode="exclusive_process"),
    card(3, "rtx-5090", compute_mode="prohibited", ecc=False),
)


@pytest.mark.parametrize("machine", [PAIR, DATA_CENTRE, host(card(0, "rtx-3060"))])
def test_a_described_machine_reads_back_as_itself(simulated_driver: SimulatedDriver, machine: Host) -> None:
    simulated_driver.load(machine)
    rig = nvml.live_rig()
    assert rig is not None
    assert rig.hosts[0].cards == machine.cards
    assert (rig.hosts[0].driver, rig.hosts[0].cuda) == ("580.95.05", "13.0")
    assert rig.name == rig.hosts[0].name


def test_the_machine_around_the_cards_is_read(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(PAIR)
    found = nvml.live()
    assert found is not None
    assert found.host.ram_mib == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // nvml.MIB
    assert found.available_mib is not None
    assert found.host.disk_gib


def test_unified_memory_is_the_machines_own(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(host(card(0, "dgx-spark")))
    found = nvml.live()
    assert found is not None
    assert found.host.ram_mib is not None
    (reading,) = found.readings
    assert reading.card.memory_mib == min(found.host.ram_mib, reading.card.gpu.cuda_memory_mib or 0)
    assert reading.card.pcie is None
    assert reading.card.power_limit_watts is None


def test_processes_are_told_by_their_units(
    simulated_driver: SimulatedDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = {
        7: "0::/system.slice/labctl-chat.service/libpod-payload-1",
        8: "0::/system.slice/ollama.service",
    }
    monkeypatch.setattr(nvml, "_proc", lambda pid, name: units.get(pid, "") if name == "cgroup" else "")
    processes = (
        Process(7, "/usr/bin/llama-server", 9000),
        Process(8, "ollama", 4000),
        Process(9, "Xorg", 120, "G"),
        Process(8, "ollama", 4000, "G"),
    )
    simulated_driver.load(host(card(0)), {0: processes[:3]})
    found = nvml.live()
    assert found is not None
    (reading,) = found.readings
    assert (reading.ours_mib, reading.foreign_mib) == (9000, 4120)
    assert [(each.pid, each.kind, each.unit, each.ours) for each in reading.processes] == [
        (7, "C", "labctl-chat.service", True),
        (8, "C", "ollama.service", False),
        (9, "G", None, False),
    ]
    assert reading.free_mib == (reading.card.memory_mib or 0) - 13120


def test_a_limit_that_was_set_is_read_and_lost_on_reboot(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(PAIR)
    simulated_driver.fail(uuid_of(1), "power-limit", 250_000)
    assert limits() == [280, 250]
    simulated_driver.reboot()
    assert limits() == [280, 280]


def limits() -> list[int | None]:
    rig = nvml.live_rig()
    assert rig is not None
    return [each.power_limit_watts for each in rig.cards]


def test_a_lost_card_is_named_and_the_others_are_read(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(PAIR)
    simulated_driver.fail(uuid_of(0), "lost")
    found = nvml.live()
    assert found is not None
    # With its bridge's other end gone it has no peer, and it counts from 0.
    assert [(each.id, each.index, each.nvlink) for each in found.host.cards] == [(uuid_of(1), 0, ())]
    assert [each.partition(":")[0] for each in found.problems] == ["card 0"]
    with pytest.raises(Failed, match="GPU is lost") as told:
        nvml.live_rig()
    assert "power cables" in (told.value.hint or "")


def test_a_driver_that_was_updated_asks_for_a_reboot(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(PAIR)
    simulated_driver.fail("driver", "mismatch")
    with pytest.raises(Failed, match="mismatch") as told:
        nvml.live_rig()
    assert "reboot" in (told.value.hint or "")


def test_no_driver_is_no_rig(simulated_driver: SimulatedDriver) -> None:
    assert nvml.live_rig() is None
    simulated_driver.load(PAIR)
    simulated_driver.fail("driver", "not-loaded")
    assert nvml.live_rig() is None


def test_a_driver_without_cards_is_no_rig(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(host())
    assert nvml.live_rig() is None


def test_uncorrected_errors_are_counted(simulated_driver: SimulatedDriver) -> None:
    simulated_driver.load(host(card(0, "tesla-p40", ecc=True), card(1)))
    simulated_driver.fail(uuid_of(0), "ecc-errors", 3)
    found = nvml.live()
    assert found is not None
    assert [each.uncorrected_errors for each in found.readings] == [3, None]


def test_a_card_that_no_catalogue_knows(simulated_driver: SimulatedDriver) -> None:
    stranger = replace(catalog.gpu("rtx-4070"), title="GeForce RTX 4070 Laptop GPU", memory_mib=8188)
    simulated_driver.load(host(card(0, memory_mib=7798, gpu=stranger)))
    rig = nvml.live_rig()
    assert rig is not None
    gpu = rig.cards[0].gpu
    assert (gpu.title, gpu.architecture, gpu.compute_capability, gpu.memory_mib) == (
        "NVIDIA GeForce RTX 4070 Laptop GPU",
        "ada",
        "8.9",
        8188,
    )
    assert rig.cards[0].memory_mib == 7798


def test_without_a_driver_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_DEVICES", ())
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.live_rig() is None


def test_both_simulations_are_used_where_there_is_a_compiler() -> None:
    assert ("library" in KINDS) == bool(compiler())
    assert "fake" in KINDS


def test_the_library_is_named_as_what_it_is(simulated_driver: SimulatedDriver) -> None:
    """Nobody should take the simulated card for a real one, whatever tool shows it."""
    if simulated_driver.library is None or simulated_driver.kind == "fake":
        return
    simulated_driver.load(PAIR)
    asked = (
        "import pynvml; pynvml.nvmlInit(); card = pynvml.nvmlDeviceGetHandleByIndex(0);"
        "print(pynvml.nvmlDeviceGetSerial(card), pynvml.nvmlDeviceGetVbiosVersion(card))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"LD_LIBRARY_PATH": str(simulated_driver.library.parent)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "simulated simulated\n"
