"""Recordings of real cards: what nvidia-smi printed, and what labctl makes of it."""

from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.rig import nvidia_smi
from labctl.rig.gpu import Gpu
from labctl.rig.host_report import HostReport
from labctl.rig.live import LiveHost, live_host, remarks
from labctl.rig.obstacles import obstacles
from labctl.rig.reported import DriverReport
from labctl.rig.rig import Pcie
from labctl.rig.unlisted import identify, is_unlisted

CASES = Path(__file__).parents[2] / "cases" / "nvidia_smi"
RECORDINGS = sorted(path.stem for path in CASES.glob("*.xml"))
MACHINE = HostReport("box", ram_mib=64_000, available_mib=60_000)


def recorded(name: str) -> str:
    return (CASES / name).read_text()


def report(name: str, capabilities: str = "") -> DriverReport:
    return nvidia_smi.parse(recorded(f"{name}.xml"), capabilities)


def identified(title: str, memory_mib: int | None, capability: str | None) -> Gpu | None:
    return identify(title, memory_mib, capability, catalog.gpus())


def live(name: str, machine: HostReport = MACHINE, cgroups: dict[int, str] | None = None) -> LiveHost:
    found = nvidia_smi.parse(recorded(f"{name}.xml"), cgroups=cgroups)
    return live_host(None, found, machine, identified)


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_recording_names_its_source(name: str) -> None:
    text = recorded(f"{name}.xml")
    assert "https://" in text or "published" in text


@pytest.mark.parametrize(
    ("name", "model", "cuda_mib", "foreign_mib", "limits", "watts"),
    [
        ("rtx-3090", "rtx-3090", 24126, 7, (350, 350, 100, 480), 35.15),
        ("a100-mig", "a100-sxm4-80gb", 81051, 50, (500, 500, 100, 500), 67.03),
        ("a10g", "a10g", 22477, 22, (300, 300, 100, 300), 25.58),
        ("tesla-t4", "tesla-t4", 14899, 276, (70, 70, 60, 70), 13.08),
        ("quadro-p2000", "quadro-p2000", 5054, 1, (75, 75, 75, 75), 4.61),
        ("gtx-1070-ti", None, 4096, 42, (None, None, None, None), None),
        ("rtx-4070-laptop", None, 7798, 2026, (95, 55, 5, 140), 11.26),
    ],
)
def test_a_recorded_card(
    name: str,
    model: str | None,
    cuda_mib: int,
    foreign_mib: int,
    limits: tuple[int | None, ...],
    watts: float | None,
) -> None:
    (reading,) = live(name).readings
    card = reading.card
    if model:
        assert card.gpu.name == model
    else:
        assert is_unlisted(card.gpu)
    # The catalogue's measured figure bounds what total − reserved promises, and the other way round.
    assert card.memory_mib == min(cuda_mib, card.gpu.cuda_memory_mib or cuda_mib)
    assert card.foreign_mib == foreign_mib
    assert (
        card.power_limit_watts,
        card.power_default_watts,
        card.power_min_watts,
        card.power_max_watts,
    ) == limits
    assert reading.power_watts == watts


def test_sentences_in_place_of_values_are_unknown_not_numbers() -> None:
    (card,) = report("rtx-3090").cards
    assert (card.ecc, card.mig, card.uncorrected_errors) == (None, None, None)
    assert card.display is True
    assert card.temperature_celsius == 32


def test_a_split_card_is_carried_and_refused_in_words() -> None:
    (reading,) = live("a100-mig").readings
    assert reading.card.mig is True
    assert reading.utilization_percent is None
    assert any("MIG" in each for each in obstacles(reading.card))


def test_error_correction_and_a_narrow_link_are_told() -> None:
    (reading,) = live("a10g").readings
    assert reading.card.ecc is True
    assert reading.uncorrected_errors == 0
    assert reading.card.pcie == Pcie(4, 8, 4, 16)
    assert any("PCIe ×8 of ×16" in each for each in remarks(reading))
    assert obstacles(reading.card) == ()


def test_processes_without_memory_leave_all_of_it_foreign() -> None:
    ours = "0::/system.slice/labctl-chat.service/libpod-payload-1"
    (reading,) = live("tesla-t4", cgroups={2320: ours}).readings
    assert [each.memory_mib for each in reading.processes] == [None] * 4
    assert reading.processes[0].ours
    assert (reading.ours_mib, reading.foreign_mib) == (0, 276)


def test_an_unlisted_laptop_keeps_what_the_driver_tells() -> None:
    (reading,) = live("rtx-4070-laptop").readings
    gpu = reading.card.gpu
    assert (gpu.architecture, gpu.compute_capability, gpu.memory_mib) == ("ada", "8.9", 8188)
    assert gpu.bandwidth_gbs is None
    assert [each.kind for each in reading.processes] == ["G", "G", "G", "C+G", "G"]
    assert reading.free_mib == 8188 - 390 - 2026


def test_a_driver_of_the_catalogues_name_and_another_memory_is_not_that_card() -> None:
    (reading,) = live("gtx-1070-ti").readings
    assert reading.card.gpu.memory_mib == 4096
    assert reading.card.pcie is None


def test_unified_memory_is_one_pool() -> None:
    machine = HostReport("spark", ram_mib=127600748 // 1024, available_mib=118566368 // 1024)
    live_spark = live("gb10", machine, {114687: "0::/user.slice/user-1000.slice/session-2.scope"})
    (reading,) = live_spark.readings
    assert reading.card.gpu.name == "dgx-spark"
    assert reading.card.memory_mib == min(124610, reading.card.gpu.cuda_memory_mib or 0)
    # What the host took is missing on the card; the python of a person's own session is among it.
    assert reading.card.foreign_mib == 127600748 // 1024 - 118566368 // 1024
    assert reading.ours_mib == 0
    assert reading.card.pcie is None
    assert live_spark.host.cpu.memory_bandwidth_gbs == reading.card.gpu.bandwidth_gbs


def test_our_share_of_a_unified_pool_is_not_foreign() -> None:
    machine = HostReport("spark", ram_mib=124610, available_mib=94610)
    ours = live("gb10", machine, {114687: "0::/system.slice/labctl-chat.service"}).readings[0]
    assert (ours.ours_mib, ours.foreign_mib) == (19135, 30000 - 19135)


@pytest.mark.parametrize(
    ("name", "peers"),
    [
        ("topology-3090-pair", {0: (1,), 1: (0,)}),
        ("topology-a6000-pair-and-one", {0: (1,), 1: (0,), 2: ()}),
        ("topology-a100-nic", {0: (1, 2, 3), 1: (0, 2, 3), 2: (0, 1, 3), 3: (0, 1, 2)}),
        ("topology-1080-ti", {0: (), 1: ()}),
    ],
)
def test_nvlink_is_read_from_the_matrix(name: str, peers: dict[int, tuple[int, ...]]) -> None:
    assert nvidia_smi._peers(recorded(f"{name}.txt")) == peers


def test_escape_sequences_in_the_matrix_are_no_names() -> None:
    text = "\t\x1b[4mGPU0\tGPU1\tCPU Affinity\x1b[0m\nGPU0\t X \tNV4\t0\nGPU1\tNV4\t X \t0\n"
    assert nvidia_smi._peers(text) == {0: (1,), 1: (0,)}


def test_compute_capability_is_asked_for_by_bus() -> None:
    (card,) = report("rtx-4070-laptop", capabilities="00000000:01:00.0, 8.9\n").cards
    assert card.compute_capability == "8.9"
    (card,) = report("rtx-3090", capabilities="0000:09:00.0, 8.6\n").cards
    assert card.compute_capability == "8.6"


@pytest.mark.parametrize(
    ("said", "which"),
    [
        ("Unable to determine the device handle for GPU1: GPU is lost.  Reboot the system", "card 1"),
        ("Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error", "00000000:41:00.0"),
        ("Unable to determine the device handle for GPU1: 0000:41:00.0: GPU is lost.", "00000000:41:00.0"),
    ],
)
def test_a_lost_card_does_not_hide_the_others(said: str, which: str) -> None:
    found = nvidia_smi.parse(f"{said}\n{recorded('rtx-3090.xml')}")
    assert [each.pci for each in found.lost] == [which]
    assert len(found.cards) == 1
    problems = live_host(None, found, MACHINE, identified).problems
    assert len(problems) == 1
    assert which in problems[0]


def test_a_card_that_is_lost_while_it_is_read() -> None:
    text = recorded("rtx-3090.xml").replace("<total>24576 MiB</total>", "<total>GPU is lost</total>")
    found = nvidia_smi.parse(text)
    assert (found.cards, [each.reason for each in found.lost]) == ((), ["GPU is lost"])


def test_documents_of_single_cards_are_one_machine() -> None:
    second = recorded("a10g.xml")
    found = nvidia_smi.parse(recorded("rtx-3090.xml") + second + second)
    assert [(each.index, each.pci) for each in found.cards] == [
        (0, "00000000:00:1E.0"),
        (1, "00000000:09:00.0"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163\n",
        "<nvidia_smi_log><gpu></nvidia_smi_log>",
        '<!DOCTYPE x [<!ENTITY a "b">]><nvidia_smi_log>&a;</nvidia_smi_log>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]><nvidia_smi_log>&a;</nvidia_smi_log>',
    ],
)
def test_what_is_no_document_is_said(text: str) -> None:
    with pytest.raises(nvidia_smi.NotNvidiaSmi) as said:
        nvidia_smi.parse(text)
    if "mismatch" in text:
        assert "mismatch" in str(said.value)


def test_a_process_that_computes_and_draws_counts_once() -> None:
    both = recorded("rtx-4070-laptop.xml").replace(
        "</processes>",
        "<process_info><pid>1802</pid><type>C</type><process_name>Hyprland</process_name>"
        "<used_memory>1448 MiB</used_memory></process_info></processes>",
    )
    (card,) = nvidia_smi.parse(both).cards
    assert [(each.kind, each.memory_mib) for each in card.processes if each.pid == 1802] == [("G+C", 1448)]
