"""What `labctl rig` prints is read back by `--rig` as the same value."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.edges import catalog
from labctl.edges.rigs import read_rig
from labctl.errors import BadInput
from labctl.rig.rig import Card, Cpu, Host, Pcie, Rig, default_reserved_mib
from labctl.rig.rig_file import parse
from labctl.rig.rig_yaml import to_yaml
from labctl.rig.unlisted import unlisted
from tests.house_rules.tree import ROOT

RIGS = sorted((ROOT / "workloads" / "rigs").glob("*.yaml"))
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True)
# What lscpu and boards have been seen to print, and what YAML would take for something else.
WORDS = st.one_of(
    st.sampled_from(
        ("no", "Xeon E5-2680 v4", "1e3", "12:30", "~", "# x", "{a: b}", "Ryzen™ 9", '"', "- x", "é")
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20),
)
WATTS = st.one_of(st.none(), st.integers(1, 2000))
SWITCH = st.sampled_from((None, True, False))
LANES = st.sampled_from((1, 4, 8, 16))
UNLISTED = st.builds(
    lambda title, major, minor, mib, pool: unlisted(
        f"NVIDIA {title}", f"{major}.{minor}", mib, unified_memory=pool
    ),
    WORDS,
    st.integers(2, 13),
    st.integers(0, 9),
    st.integers(0, 200_000),
    st.booleans(),
)


@st.composite
def cards(draw: st.DrawFn, host: str, index: int, count: int) -> Card:
    memory_mib = draw(st.one_of(st.none(), st.integers(1, 200_000)))
    uuid = f"GPU-{index:08x}-0000-0000-0000-{abs(hash(host)) % 16**12:012x}"
    link = st.builds(Pcie, st.integers(1, 6), LANES, st.integers(1, 6), LANES)
    return Card(
        id=draw(st.sampled_from((uuid, f"{host}/{index}"))),
        host=host,
        index=index,
        gpu=draw(st.one_of(st.sampled_from(catalog.gpus()), UNLISTED)),
        memory_mib=memory_mib,
        reserved_mib=draw(st.one_of(st.just(default_reserved_mib(memory_mib or 0)), st.integers(0, 5000))),
        foreign_mib=draw(st.integers(0, 5000)),
        power_limit_watts=draw(WATTS),
        pci=draw(st.sampled_from((None, f"00000000:{index + 1:02X}:00.0"))),
        nvlink=tuple(sorted(draw(st.sets(st.integers(0, count - 1))) - {index})),
        compute_mode=draw(st.sampled_from(("default", "exclusive_process", "prohibited"))),
        ecc=draw(SWITCH),
        display=draw(SWITCH),
        power_default_watts=draw(WATTS),
        power_min_watts=draw(WATTS),
        power_max_watts=draw(WATTS),
        pcie=draw(st.one_of(st.none(), link)),
        mig=draw(SWITCH),
        ecc_pending=draw(SWITCH),
    )


@st.composite
def hosts(draw: st.DrawFn, name: str) -> Host:
    count = draw(st.integers(0, 4))
    drawn = [draw(cards(name, index, count)) for index in range(count)]
    # A link has two ends.
    both = [
        replace(
            card,
            nvlink=tuple(
                other.index for other in drawn if card.index in other.nvlink or other.index in card.nvlink
            ),
        )
        for card in drawn
    ]
    positive = st.one_of(st.none(), st.integers(1, 10**6))
    return Host(
        name=name,
        cards=tuple(both),
        cpu=Cpu(
            draw(st.one_of(st.none(), WORDS)),
            draw(st.integers(1, 8)),
            draw(positive),
            draw(st.one_of(st.none(), st.floats(1e-9, 1e5))),
            draw(WATTS),
        ),
        ram_mib=draw(st.one_of(st.none(), st.integers(1, 2**24))),
        psu_watts=draw(WATTS),
        disk_gib=draw(positive),
        host_watts=draw(WATTS),
        disk_free_gib=draw(st.one_of(st.none(), st.integers(0, 10**6))),
        driver=draw(st.sampled_from((None, "580.95.05", "390.1"))),
        cuda=draw(st.sampled_from((None, "13.0", "12.10"))),
        pcie_slots=draw(
            st.one_of(
                st.none(),
                st.just(()),
                st.lists(st.integers(1, 16), min_size=len(both), max_size=len(both) + 3).map(tuple),
            )
        ),
    )


@st.composite
def rigs(draw: st.DrawFn) -> Rig:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return Rig(draw(NAMES), tuple(draw(hosts(name)) for name in names))


@pytest.mark.parametrize(
    "model", ["a\u2028b", "\ufeffx", "a\x85b", "\U0001f5a5 x", "\x7f", "a\tb", "\ufffe", "no", "'"]
)
def test_any_name_reads_back_as_itself(model: str) -> None:
    rig = Rig("r", (Host("h", (), Cpu(model)),))
    assert parse(to_yaml(rig), "rig.yaml", catalog.gpu) == rig


@given(rigs())
@settings(max_examples=200, deadline=None)
def test_every_rig_reads_back_as_itself(rig: Rig) -> None:
    assert parse(to_yaml(rig, ["a remark"]), "rig.yaml", catalog.gpu) == rig


@pytest.mark.parametrize("path", RIGS, ids=lambda path: path.stem)
def test_every_seed_rig_reads_back_as_itself(path: object) -> None:
    rig = read_rig(str(path))
    assert parse(to_yaml(rig), "rig.yaml", catalog.gpu) == rig


def test_what_the_machine_cannot_tell_is_asked_for() -> None:
    text = to_yaml(Rig("box", (Host("box", ()),)), ["Not read: card 1"])
    assert text.startswith("# Not read: card 1\nname: box\n")
    for key in ("psu_watts", "ram_gib", "disk_gib", "cpu.memory_bandwidth_gbs"):
        assert f"    # {key}: not readable" in text


RIG = "name: box\nhosts:\n  - name: box\n    gpus:\n      - {{model: {line}}}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('Nova 1, compute_capability: "13.0"', "board_memory_mib"),
        ("Nova 1, board_memory_mib: 4096", "compute_capability"),
        ("rtx-3090, unified_memory: true", "outside the catalogue"),
        ("rtx-3090, memory_mib: 5, memory_unknown: true", "only one of them"),
        ("rtx-3090, pcie: {generation: 4}", "lanes"),
        ("rtx-3090, foreign_mib: -1", "foreign_mib"),
        ("rtx-3091", "rtx-3090"),
    ],
)
def test_a_line_that_cannot_be_meant_is_named(line: str, words: str) -> None:
    with pytest.raises(BadInput) as told:
        parse(RIG.format(line=line), "rig.yaml", catalog.gpu)
    assert words in str(told.value)
    assert str(told.value).startswith("rig.yaml")


def test_a_card_outside_the_catalogue_is_described_in_the_file() -> None:
    line = 'NVIDIA Nova 1, compute_capability: "13.0", board_memory_mib: 4096, memory_unknown: true'
    (card,) = parse(RIG.format(line=line), "rig.yaml", catalog.gpu).cards
    assert card.gpu == unlisted("NVIDIA Nova 1", "13.0", 4096)
    assert card.memory_mib is None
