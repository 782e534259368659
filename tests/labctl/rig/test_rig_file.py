"""A rig file: every key comes out where it belongs, and what is wrong is told with its line."""

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.rig.rig import Rig, visible_mib
from labctl.rig.rig_file import parse

EVERYTHING = """\
name: everything
hosts:
  - name: box
    gpus:
      - {model: rtx-3090, count: 2, nvlink: [[0, 1]], power_limit_watts: 280}
      - model: GeForce RTX 3060
        uuid: GPU-0123abcd-1111-2222-3333-444455556666
        pci: "0000:41:00.0"
        memory_mib: 12000
        reserved_mib: 0
        compute_mode: exclusive_process
        ecc: false
        display: true
    nvlink: [[1, 2]]
    ram_gib: 62.5
    cpu: {model: Xeon, sockets: 2, cores: 28, memory_bandwidth_gbs: 153.6, tdp_watts: 240}
    psu_watts: 1300
    host_watts: 90
    disk_gib: 2000
    pcie_slots: [16, 8, 8, 4]
  - name: bare
"""


def rig(text: str) -> Rig:
    return parse(text, "rig.yaml", catalog.gpu)


def test_everything() -> None:
    found = rig(EVERYTHING)
    box, bare = found.hosts
    assert (found.name, [host.name for host in found.hosts]) == ("everything", ["box", "bare"])
    assert [card.id for card in box.cards] == ["box/0", "box/1", "GPU-0123abcd-1111-2222-3333-444455556666"]
    assert [card.gpu.name for card in box.cards] == ["rtx-3090", "rtx-3090", "rtx-3060"]
    assert [card.nvlink for card in box.cards] == [(1,), (0, 2), (1,)]
    assert [card.power_limit_watts for card in box.cards] == [280, 280, None]
    third = box.cards[2]
    assert (third.memory_mib, third.reserved_mib, third.usable_mib) == (12_000, 0, 12_000)
    assert (third.pci, third.compute_mode, third.ecc, third.display) == (
        "0000:41:00.0",
        "exclusive_process",
        False,
        True,
    )
    assert (box.ram_mib, box.psu_watts, box.host_watts, box.disk_gib) == (64_000, 1300, 90, 2000)
    assert (box.cpu.sockets, box.cpu.cores, box.cpu.memory_bandwidth_gbs) == (2, 28, 153.6)
    assert (box.pcie_slots, bare.pcie_slots) == ((16, 8, 8, 4), None)
    assert (bare.cards, bare.ram_mib, bare.cpu.sockets) == ((), None, 1)
    assert found.host("bare") is bare


@pytest.mark.parametrize(("gpu", "reserved"), [("rtx-3060", 1024), ("a100-sxm4-80gb", round(0.03 * 81_152))])
def test_the_margin_is_the_contract_s(gpu: str, reserved: int) -> None:
    """usable_mib = memory − foreign − max(1024, 3 %)."""
    (card,) = rig(f"name: r\nhosts: [{{name: h, gpus: [{{model: {gpu}}}]}}]\n").cards
    assert card.memory_mib == visible_mib(catalog.gpu(gpu))
    assert card.reserved_mib == reserved
    assert card.usable_mib == card.memory_mib - reserved


def test_links_are_counted_within_a_line_and_over_a_host() -> None:
    two_lines = (
        "[{model: rtx-3090, count: 2, nvlink: [[0, 1]]}, {model: rtx-3090, count: 2, nvlink: [[1, 0]]}]"
    )
    found = rig(f"name: r\nhosts: [{{name: h, gpus: {two_lines}, nvlink: [[0, 3]]}}]\n")
    assert [card.nvlink for card in found.cards] == [(1, 3), (0,), (3,), (0, 2)]


def one_line(line: str) -> str:
    return f"name: r\nhosts:\n  - name: h\n    gpus:\n      - {line}\n"


# `…` stands for hosts.0.gpus.0.
REFUSED = {
    one_line("{model: rtx-3O90}"): ": hosts.h.gpus[0].model: no GPU of that name in the catalogue (found rtx-3O9",
    one_line("{modle: rtx-3090}"): ":5: a key is missing (expected `…model`)",
    one_line("{model: rtx-3090, reserve_mib: 5}"): ":5: unknown key `…reserve_mib` — did you mean `rese",
    one_line("{model: rtx-3090, count: 0}"): ":5: `…count`: out of bounds",
    one_line("{model: rtx-3090, count: 65}"): ":5: `…count`: out of bounds (found 65,",
    one_line("{model: rtx-3090, count: two}"): ":5: `…count`: not what belongs here (found 'two'",
    one_line("{model: rtx-3090, memory_mib: 0}"): ":5: `…memory_mib`: out of bounds",
    one_line("{model: rtx-3090, memory_mib: 99999999}"): ":5: `…memory_mib`: out of bounds",
    one_line("{model: rtx-3090, uuid: 7}"): ":5: `…uuid`: not what belongs here (found 7, expected text)",
    one_line("{model: rtx-3090, uuid: GPU}"): ":5: `…uuid`: not of the form that belongs here",
    one_line("{model: rtx-3090, count: 2, uuid: GPU-0123abcd}"): ":5: `hosts.0.gpus.0`: uuid and pci name one ca",
    one_line("{model: rtx-3090, nvlink: [[0, 1]]}"): ":5: `hosts.0.gpus.0`: nvlink: [0, 1] are not two of the 1",
    one_line("{model: rtx-3090, nvlink: [[0]]}"): ":5: `…nvlink.0`: out of bounds (found [0],",
    one_line("{model: rtx-3090, compute_mode: fast}"): ":5: `…compute_mode`: not one of the words for it",
    one_line("{model: rtx-3090}\n    ram_gib: .inf"): ":6: `hosts.0.ram_gib`: out of bounds (found inf",
    one_line("{model: rtx-3090}\n    ram_gib: .nan"): ":6: `hosts.0.ram_gib`: out of bounds (found nan",
    one_line("{model: rtx-3090}\n    cpu: fast"): ":6: `hosts.0.cpu`: not what belongs here",
    one_line("{model: rtx-3090}\n    nvlink: [[0, 3]]"): ":3: `hosts.0`: nvlink: [0, 3] are not two of this host",
    one_line("{model: rtx-3090, count: 2}\n    pcie_slots: [16]"): ":3: `hosts.0`: pcie_slots: 1 slots for 2 cards; ",
    one_line("{model: rtx-3090}\n    pcie_slots: [16, 0]"): ":6: `hosts.0.pcie_slots.1`: out of bounds",
    one_line("{model: rtx-3090}\n    pcie_slots: 2"): ":6: `hosts.0.pcie_slots`: ",
    one_line("{model: rtx-3090}\n  - name: h"): ":1: two with the same host: h",
    "name: a b\nhosts: [{name: h}]\n": ":1: `name`: not of the form that belongs here",
    "name: r\nhosts: []\n": ":2: `hosts`: out of bounds (found [], expected at least 1 of them)",
    "name: r\nhost: []\n": ":1: a key is missing (expected `hosts`)",
    "name: r\nhosts: [{name: h, gpu: []}]\n": ":2: unknown key `hosts.0.gpu` — did you mean `gpus`?",
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED.items(), ids=range(len(REFUSED)))
def test_it_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        rig(text)
    assert str(refused.value).startswith("rig.yaml" + said.replace("…", "hosts.0.gpus.0."))


def test_one_uuid_names_one_card() -> None:
    line = "      - {model: rtx-3090, uuid: GPU-0123abcd}\n"
    with pytest.raises(BadInput, match="two with the same uuid: GPU-0123abcd"):
        rig(f"name: r\nhosts:\n  - name: h\n    gpus:\n{line}{line}")


def test_cards_that_say_their_slot_come_in_pci_order() -> None:
    found = rig(
        "name: two\nhosts:\n  - name: box\n    nvlink: [[0, 2]]\n    gpus:\n"
        '      - {model: rtx-3090, pci: "41:00.0"}\n'
        '      - {model: rtx-3060, pci: "0000:02:00.0"}\n'
        '      - {model: rtx-3090, pci: "00000000:01:00.0"}\n'
    )
    assert [(card.id, card.gpu.name, card.nvlink) for card in found.cards] == [
        ("box/0", "rtx-3090", (2,)),
        ("box/1", "rtx-3060", ()),
        ("box/2", "rtx-3090", (0,)),
    ]
    assert [card.pci for card in found.cards] == ["00000000:01:00.0", "0000:02:00.0", "41:00.0"]
