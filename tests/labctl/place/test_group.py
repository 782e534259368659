"""Which cards are asked about together."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from labctl.edges import catalog
from labctl.place.group import Group, groups, short_title
from labctl.rig.rig import Cpu, Host, Rig
from tests.labctl.place.simulated import all_groups, card, known_gpus

kinds = st.sampled_from(["rtx-3090", "rtx-3060", "tesla-p40"])


@given(st.lists(kinds, min_size=1, max_size=6))
def test_every_number_of_every_kind_and_all_together(found: list[str]) -> None:
    cards = [card(10_000, index, kind) for index, kind in enumerate(found)]
    counts = {kind: found.count(kind) for kind in found}
    expected = {(kind,) * n for kind, count in counts.items() for n in range(1, count + 1)}
    for number in range(2, len(counts) + 1):
        for some in combinations(counts, number):
            expected.add(tuple(sorted(kind for kind in found if kind in some)))
    together = all_groups(*cards)
    assert {tuple(sorted(each.gpu.name for each in group.cards)) for group in together} == expected
    assert len(together) == len(expected)
    assert [len(group.cards) for group in together] == sorted(len(group.cards) for group in together)


def test_of_equal_cards_those_with_most_free_memory_stand_for_all() -> None:
    busy, free = card(10_000, 0), replace(card(10_000, 1), foreign_mib=0)
    one, both = all_groups(replace(busy, foreign_mib=4000), free)
    assert [each.id for each in one.cards] == ["box/1"]
    assert both.usable_mib == (10_000, 6000)


def test_the_fastest_card_comes_first_as_cuda_counts_them() -> None:
    mixed = all_groups(card(24_000, 0, "tesla-p40"), card(12_000, 1, "rtx-3060"), card(24_000, 2))[-1]
    assert [each.gpu.name for each in mixed.cards] == ["rtx-3090", "rtx-3060", "tesla-p40"]
    assert mixed.title == "RTX 3090 + RTX 3060 12G + Tesla P40"


def test_a_card_whose_memory_nobody_knows_is_in_no_group() -> None:
    assert all_groups(card(None)) == ()
    assert [group.title for group in all_groups(card(None, 0), card(8000, 1))] == ["RTX 3090"]


def test_cards_of_two_hosts_are_never_together() -> None:
    rig = Rig("two", (Host("a", (card(8000, host="a"),)), Host("b", (card(8000, host="b"),))))
    assert [len(group.cards) for group in groups(rig)] == [1, 1]
    assert [group.host.name for group in groups(rig)] == ["a", "b"]


def test_the_processor_of_unified_memory_reads_as_fast_as_the_card() -> None:
    spark = catalog.gpu("dgx-spark").bandwidth_gbs
    (group,) = all_groups(card(100_000, gpu="dgx-spark"))
    assert group.processor.bandwidth_gbs == spark
    slow = Group(replace(group.host, cpu=Cpu(memory_bandwidth_gbs=50.0)), group.cards)
    assert slow.processor.bandwidth_gbs == 50.0


def test_titles_are_short() -> None:
    assert max(len(short_title(gpu)) for gpu in known_gpus()) < 30
    assert short_title(catalog.gpu("rtx-4060-ti-16gb")) == "RTX 4060 Ti 16G"
    assert short_title(catalog.gpu("dgx-spark")) == "DGX Spark"
