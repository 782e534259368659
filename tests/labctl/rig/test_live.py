"""What is foreign, what is ours, and what a person is told of a card."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.edges import catalog
from labctl.edges.nvml import identified
from labctl.rig.host_report import HostReport, cgroups, host_report, module_bandwidth_gbs, sections
from labctl.rig.live import live_host, planned
from labctl.rig.obstacles import obstacles
from labctl.rig.reported import DriverReport, Process, Reported, unit_of
from labctl.rig.rig import Card, Host
from labctl.rig.unlisted import capability_of, is_unlisted, unlisted

BUS = "00000000:41:00.0"


def reported(**values: object) -> Reported:
    plain: dict[str, object] = {
        "index": 0,
        "uuid": "GPU-00000000-0001",
        "name": "NVIDIA GeForce RTX 3090",
        "pci": BUS,
    }
    return Reported(**(plain | values))  # type: ignore[arg-type]  # the keys are the test's own


def read(*cards: Reported, machine: HostReport | None = None) -> Card:
    report = DriverReport("580.95.05", "13.0", cards)
    return live_host(None, report, machine or HostReport("box"), identified).host.cards[0]


@pytest.mark.parametrize(
    ("cgroup", "unit", "ours"),
    [
        (
            "0::/system.slice/labctl-chat.service/libpod-payload-0d1c\n",
            "labctl-chat.service",
            True,
        ),
        (
            "0::/labctl.slice/labctl-chat.service\n",
            "labctl-chat.service",
            True,
        ),
        (
            "12:devices:/system.slice/labctl-chat.service\n1:name=systemd:/x\n",
            "labctl-chat.service",
            True,
        ),
        (
            "0::/system.slice/ollama.service\n",
            "ollama.service",
            False,
        ),
        (
            "0::/system.slice/docker-0d1c.scope\n",
            "docker-0d1c.scope",
            False,
        ),
        # Anyone may call a unit of the own session so.
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/labctl-chat.service\n",
            "labctl-chat.service",
            False,
        ),
        (
            "0::/user.slice/user-1000.slice/session-2.scope",
            "session-2.scope",
            False,
        ),
        ("0::/\n", None, False),
        ("", None, False),
    ],
)
def test_a_process_belongs_to_the_unit_of_its_cgroup(cgroup: str, unit: str | None, ours: bool) -> None:
    assert unit_of(cgroup) == (unit, ours)


def test_foreign_is_what_is_used_less_our_units_processes() -> None:
    card = read(
        reported(
            total_mib=24576,
            reserved_mib=450,
            used_mib=18_000,
            processes=(
                Process(1, "llama-server", 17_000, ours=True),
                Process(2, "Xorg", 400, "G"),
            ),
        )
    )
    assert card.foreign_mib == 1000


def test_an_old_driver_counts_what_it_keeps_as_used() -> None:
    """Before 510 there is no `reserved`: some 450 MiB of an idle card are used."""
    card = read(reported(total_mib=24576, used_mib=1450))
    assert card.memory_mib == card.gpu.cuda_memory_mib
    assert card.foreign_mib == 1450 - (24576 - (card.memory_mib or 0))


@given(
    total=st.integers(1000, 100_000),
    reserved=st.integers(0, 900),
    used=st.integers(0, 100_000),
    held=st.lists(st.tuples(st.integers(0, 50_000), st.booleans()), max_size=6),
)
def test_memory_never_goes_below_nothing_nor_above_the_card(
    total: int, reserved: int, used: int, held: list[tuple[int, bool]]
) -> None:
    processes = tuple(Process(n, "p", mib, ours=ours) for n, (mib, ours) in enumerate(held))
    report = DriverReport(
        None,
        None,
        (
            reported(
                name="A card nobody knows",
                compute_capability="8.6",
                total_mib=total,
                reserved_mib=reserved,
                used_mib=used,
                processes=processes,
            ),
        ),
    )
    (reading,) = live_host(None, report, HostReport("box"), identified).readings
    card = reading.card
    assert card.memory_mib == total - reserved
    assert reading.free_mib is not None
    assert 0 <= reading.free_mib <= total - reserved
    assert card.usable_mib is not None
    assert 0 <= card.usable_mib <= total - reserved
    assert reading.foreign_mib >= used - sum(mib for mib, ours in held if ours)


def test_a_card_without_known_memory_is_refused_in_words() -> None:
    card = read(reported(used_mib=5))
    assert card.memory_mib is None
    assert card.usable_mib is None
    assert any("how much memory" in each for each in obstacles(card))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"compute_mode": "exclusive_process"}, "EXCLUSIVE_PROCESS"),
        ({"compute_mode": "prohibited"}, "PROHIBITED"),
        ({"mig": True}, "MIG"),
        ({"ecc": True, "ecc_pending": False}, "off after a reboot"),
    ],
)
def test_what_keeps_work_from_a_card_is_said(values: dict[str, object], word: str) -> None:
    card = read(reported(total_mib=24576, reserved_mib=450, used_mib=0, **values))
    assert len(obstacles(card)) == 1
    assert word in obstacles(card)[0]


def test_nvlink_peers_keep_their_cards_when_one_is_lost() -> None:
    third = reported(index=2, uuid="GPU-00000000-0003", pci="00000000:43:00.0", total_mib=24576, nvlink=(0,))
    first = reported(total_mib=24576, nvlink=(2,))
    report = DriverReport(None, None, (first, third))
    found = live_host(None, report, HostReport("box"), identified).host.cards
    assert [(card.index, card.nvlink) for card in found] == [(0, (1,)), (1, (0,))]


def test_a_card_that_nobody_knows_is_a_problem_not_a_guess() -> None:
    report = DriverReport("390.1", "9.1", (reported(name="Mystery", total_mib=1),))
    found = live_host(None, report, HostReport("box"), identified)
    assert found.host.cards == ()
    assert "Mystery" in found.problems[0]


def test_a_host_of_a_file_is_shown_without_figures_of_the_moment() -> None:
    card = Card("box/0", "box", 0, catalog.gpu("rtx-3090"), 24_000, foreign_mib=1_000)
    (reading,) = planned(Host("box", (card,))).readings
    assert (reading.free_mib, reading.foreign_mib, reading.power_watts) == (23_000, 1_000, None)


@pytest.mark.parametrize(
    ("word", "capability"),
    [("Ada Lovelace", "8.9"), ("Ampere", "8.0"), ("Turing", "7.5"), ("Blackwell", "10.0"), ("Quantum", None)],
)
def test_an_architecture_promises_its_first_capability(word: str, capability: str | None) -> None:
    assert capability_of(word) == capability


@given(st.sampled_from(catalog.gpus()))
def test_no_card_of_the_catalogue_is_taken_for_an_unlisted_one(gpu: object) -> None:
    assert not is_unlisted(gpu)  # type: ignore[arg-type]  # a Gpu, which hypothesis does not know


def test_an_unlisted_card_knows_itself() -> None:
    assert is_unlisted(unlisted("NVIDIA Nova 1", "13.0", 4096))
    assert is_unlisted(unlisted("???", "2.0", 0, unified_memory=True))


OUTPUT = """
@@labctl name
aibox.example
@@labctl meminfo
MemTotal:       131072000 kB
MemFree:         1000000 kB
MemAvailable:   120000000 kB

@@labctl lscpu
Architecture:            x86_64
CPU(s):                  56
Model name:              Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz
Core(s) per socket:      14
Socket(s):               2

@@labctl disk
Filesystem     1024-blocks      Used Available Capacity Mounted on
/dev/nvme0n1p2  1951564152 804000000 1048400000      44% /

@@labctl modules

@@labctl cgroups
pid 12
0::/system.slice/labctl-chat.service
pid 13
@@labctl end
"""


def test_a_machine_tells_of_itself() -> None:
    parts = sections(OUTPUT)
    found = host_report(parts)
    assert found == HostReport(
        name="aibox.example",
        ram_mib=128_000,
        available_mib=117_187,
        cpu_model="Intel Xeon E5-2680 v4",
        sockets=2,
        cores=28,
        memory_bandwidth_gbs=None,
        disk_gib=1861,
        disk_free_gib=999,
    )
    assert cgroups(parts["cgroups"]) == {12: "0::/system.slice/labctl-chat.service", 13: ""}


def test_a_machine_that_tells_nothing() -> None:
    assert host_report({}) == HostReport("localhost")


def module(
    locator: str, bank: str, size: str = "16 GB", speed: str = "3200 MT/s", width: str = "64 bits"
) -> str:
    return (
        f"Handle 0x0013, DMI type 17, 92 bytes\nMemory Device\n\tData Width: {width}\n\tSize: {size}\n"
        f"\tLocator: {locator}\n\tBank Locator: {bank}\n\tSpeed: 4000 MT/s\n\tConfigured Memory Speed: {speed}\n\n"
    )


@pytest.mark.parametrize(
    ("modules", "gbs"),
    [
        ((("DIMM 0", "P0 CHANNEL A"), ("DIMM 0", "P0 CHANNEL B")), 51.2),
        ((("DIMMA1", "P0_Node0_Channel0_Dimm0"), ("DIMMA2", "P0_Node0_Channel0_Dimm1")), 25.6),
        ((("Controller0-ChannelA-DIMM0", "BANK 0"), ("Controller1-ChannelA-DIMM0", "BANK 0")), 51.2),
        ((("CPU1_DIMM_A1", "NODE 0"), ("CPU2_DIMM_A1", "NODE 1")), 51.2),
        ((("DIMM1", "BANK 0"), ("DIMM2", "BANK 0")), None),
        ((), None),
    ],
)
def test_memory_bandwidth_comes_from_channels_not_modules(
    modules: tuple[tuple[str, str], ...], gbs: float | None
) -> None:
    empty = module("DIMM_Z9", "", size="No Module Installed", speed="Unknown")
    assert module_bandwidth_gbs(empty + "".join(module(*each) for each in modules)) == gbs


def test_soldered_memory_counts_its_own_width() -> None:
    soldered = module("DIMM 0", "P0 CHANNEL A", width="32 bits", speed="8000 MT/s")
    assert module_bandwidth_gbs(soldered) == 32.0
