"""From a workloads file and a rig to options that the solver takes."""

from dataclasses import replace
from typing import Any

import pytest

from labctl.edges import catalog
from labctl.edges.rigs import read_rig, rig_of
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.estimate.candidates.language import Language
from labctl.estimate.claim import Request
from labctl.place.options import Offered, Wish, offered
from labctl.place.placement import Question, place
from labctl.place.problem import Option
from labctl.place.sites import groups
from labctl.rig.rig import Host, Rig
from labctl.workloads.workload import Amount, GpuLimits
from labctl.workloads.workloads_file import parse
from tests.labctl.place.simulated import card

HOME = "workloads/home.yaml"


@pytest.fixture(scope="module")
def rig() -> Rig:
    return read_rig("workloads/rigs/dual-3090.yaml")


@pytest.fixture(scope="module")
def home() -> dict[str, Wish]:
    return {wish.workload.name: wish for wish in wishes(read_workloads(HOME), HOME)}


def of(home: dict[str, Wish], name: str, rig: Rig, **changes: Any) -> Offered:
    """The options of a workload of home.yaml, changed a little and asked for one format to be quick."""
    wish = home[name]
    return offered(replace(wish, workload=replace(wish.workload, **changes)), rig)


def cards(option: Option) -> tuple[str, ...]:
    return tuple(sorted(option.claims_mib))


def test_a_service_without_a_model_takes_no_card(home: dict[str, Wish], rig: Rig) -> None:
    found = of(home, "nextcloud", rig)
    assert [(dict(each.claims_mib), each.ram_mib) for each in found.options] == [({}, 3072)]


def test_a_declared_claim_is_the_whole_claim_on_each_card(home: dict[str, Wish], rig: Rig) -> None:
    found = of(home, "search", rig)
    assert [dict(each.claims_mib) for each in found.options] == [{"aibox/0": 1500}, {"aibox/1": 1500}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"vram_mib": 30_000}, [(30_000, "too_small"), (30_000, "too_small")]),
        (
            {"vram_mib": 22_000, "gpus": GpuLimits(count=2)},
            [(22_000, "too_few_on_host"), (22_000, "too_small")],
        ),
        ({"gpus": GpuLimits(count=3)}, [(None, "too_few_on_host"), (None, "too_few_on_host")]),
    ],
)
def test_a_declared_claim_that_has_no_place_says_what_each_card_would_need(
    home: dict[str, Wish], rig: Rig, changes: dict[str, Any], expected: list[tuple[int | None, str]]
) -> None:
    wish = replace(home["search"], workload=replace(home["search"].workload, **changes))
    second = replace(rig.cards[1], memory_mib=20_000)
    rig = replace(rig, hosts=(replace(rig.hosts[0], cards=(rig.cards[0], second)),))
    (refused,) = place(Question((wish,), rig)).refused
    assert [(each.needs_mib, each.reason) for each in refused.refusals] == expected


def test_an_engine_that_fills_a_card_gets_one_that_is_worth_filling(home: dict[str, Wish], rig: Rig) -> None:
    small = replace(rig.cards[0], memory_mib=4_000, nvlink=())
    rig = replace(rig, hosts=(replace(rig.hosts[0], cards=(small, replace(rig.cards[1], nvlink=()))),))
    wish = replace(home["images"], candidate=None)
    images = replace(wish, workload=replace(wish.workload, model=None))
    (chosen,) = place(Question((images,), rig)).placed.values()
    assert dict(chosen.claims_mib) == {"aibox/1": rig.cards[1].usable_mib}
    rig = replace(rig, hosts=(replace(rig.hosts[0], cards=(small,)),))
    (refused,) = place(Question((images,), rig)).refused
    assert [(each.needs_mib, each.reason) for each in refused.refusals] == [(4096, "too_small")]


def test_variants_are_ranked_by_wish_and_never_more_than_a_card_has(home: dict[str, Wish], rig: Rig) -> None:
    changes: dict[str, Any] = {
        "context": Amount(16384, 8192),
        "parallel": Amount(2, 1),
        "kv_types": ("f16", "q8_0"),
    }
    options = of(home, "chat", rig, offload=False, gpus=GpuLimits(count=1), **changes).options
    first = [each for each in options if cards(each) == ("aibox/0",)]
    assert [each.rank for each in first] == sorted(each.rank for each in first)
    assert len(first) == 3 * 2 * 2 * 2  # formats × KV types × contexts × parallel: all fit a 3090
    best, last = first[0], first[-1]
    assert (best.variant["quant"], best.variant["kv_type"], best.variant["context"]) == ("Q8_0", "f16", 16384)
    assert (last.variant["quant"], last.variant["kv_type"], last.variant["context"]) == (
        "Q4_K_M",
        "q8_0",
        8192,
    )
    assert best.claims_mib["aibox/0"] > last.claims_mib["aibox/0"]
    usable = {card.id: card.usable_mib or 0 for card in rig.cards}
    assert all(claim <= usable[card] for each in options for card, claim in each.claims_mib.items())
    assert len({each.variant_id for each in first}) == len(first)


def test_cards_that_are_not_allowed_say_why(home: dict[str, Wish], rig: Rig) -> None:
    found = of(home, "listen", rig, gpus=GpuLimits(uuids=("aibox/1",)))
    assert {cards(each) for each in found.options} == {("aibox/1",)}
    assert found.barred == {"aibox/0": "pinned_elsewhere"}


def test_what_fits_nowhere_says_what_it_needs(home: dict[str, Wish], rig: Rig) -> None:
    found = of(home, "chat", rig, offload=False, context=Amount(32768, 32768), parallel=Amount(64, 64))
    usable = {card.id: card.usable_mib or 0 for card in rig.cards}
    assert {cards(each) for each in found.options} == {("aibox/0",), ("aibox/1",)}
    assert all(claim > usable[card] for each in found.options for card, claim in each.claims_mib.items())
    assert {each.variant["quant"] for each in found.options} == {"Q4_K_M"}


def test_layers_move_to_ram_in_steps_and_at_last_all_of_them(home: dict[str, Wish], rig: Rig) -> None:
    options = of(
        home,
        "chat",
        rig,
        offload=True,
        gpus=GpuLimits(),
        context=None,
        parallel=Amount(1, 1),
        kv_types=("f16",),
    ).options
    here = [each for each in options if each.variant["quant"] == "Q8_0" and len(each.claims_mib) < 2]
    alone = {cards(each): each for each in here if not each.claims_mib}
    assert set(alone) == {()}
    one = sorted((each for each in here if cards(each) == ("aibox/0",)), key=lambda each: each.rank)
    claims = [each.claims_mib["aibox/0"] for each in one]
    assert claims == sorted(claims, reverse=True)
    assert [each.ram_mib for each in one] == sorted(each.ram_mib for each in one)
    assert len(one) == 4


def with_card(rig: Rig, **changes: Any) -> Rig:
    """The rig with its first card changed."""
    (host,) = rig.hosts
    first, *others = host.cards
    return replace(rig, hosts=(replace(host, cards=(replace(first, **changes), *others)),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mig": True}, "mig"),
        ({"compute_mode": "exclusive_process"}, "compute_mode"),
        ({"ecc_pending": True}, "unknown_memory"),
        ({"memory_mib": None}, "unknown_memory"),
    ],
)
def test_a_card_that_cannot_be_used_now_is_left_out(
    home: dict[str, Wish], rig: Rig, changes: dict[str, Any], reason: str
) -> None:
    found = of(home, "search", with_card(rig, **changes))
    assert [cards(each) for each in found.options] == [("aibox/1",)]
    assert found.barred == {"aibox/0": reason}


def vllm(quants: str, kv_type: str) -> Wish:
    """A chat under vLLM, as a workloads file asks for it."""
    text = (
        f"workloads:\n  chat: {{service: vllm, model: qwen2.5-1.5b, quant: {quants}, kv_type: {kv_type}}}\n"
    )
    (wish,) = wishes(
        parse(text, "workloads.yaml", catalog.service, catalog.service_names()), "workloads.yaml"
    )
    return wish


@pytest.mark.parametrize(
    ("card", "quants", "kv_type", "reason"),
    [
        ("rtx-3090", "fp8", "f16", None),  # multiplied in BF16
        ("rtx-3090", "fp8", "fp8", "dtype"),
        ("rtx-4090", "fp8", "fp8", None),
        ("rtx-2080-ti", "bf16", "f16", "dtype"),
        ("rtx-2080-ti", "[bf16, fp16]", "f16", None),
        ("tesla-p40", "fp16", "f16", "compute_capability"),
    ],
)
def test_a_card_is_barred_where_no_format_that_was_asked_for_runs(
    card: str, quants: str, kv_type: str, reason: str | None
) -> None:
    found = offered(vllm(quants, kv_type), rig_of((f"{card}:2",)))
    assert found.barred == ({"you/0": reason, "you/1": reason} if reason else {})
    assert bool(found.options) is (reason is None)


@pytest.mark.parametrize(("memory_mib", "offload"), [(2500, False), (6500, True)])
def test_what_is_too_heavy_is_not_tried_and_nothing_else_changes(
    home: dict[str, Wish], monkeypatch: pytest.MonkeyPatch, memory_mib: int, offload: bool
) -> None:
    cards = (card(memory_mib, 0), card(memory_mib - 500, 1))
    small = Rig("small", (Host("box", cards, ram_mib=32_768),))
    changes: dict[str, Any] = {
        "gpus": GpuLimits(),
        "context": Amount(16384, 8192),
        "parallel": Amount(1, 1),
        "kv_types": ("f16",),
        "offload": offload,
    }
    found = of(home, "chat", small, **changes)
    tried: list[int] = []

    def nothing(*_: object) -> int:
        tried.append(1)
        return 0

    monkeypatch.setattr(Language, "least_bytes", nothing)
    assert set(map(str, of(home, "chat", small, **changes).options)) == set(map(str, found.options))
    assert tried


def test_no_estimate_is_below_the_least(home: dict[str, Wish]) -> None:
    candidate = home["chat"].candidate
    assert isinstance(candidate, Language)
    for request in (
        Request("llama.cpp", 8192, 2, n_gpu_layers=14),
        Request("llama.cpp", 4096, 1, n_gpus=2, tensor_split=(3.0, 1.0)),
        Request("llama.cpp", 4096, 1, n_gpus=3, kv_type_k="q8_0", kv_type_v="q8_0"),
    ):
        estimate = candidate.estimate("Q4_K_M", request)
        least = candidate.least_bytes("Q4_K_M", request)
        assert 0.5 * estimate.of("weights") < least <= estimate.of("weights") + estimate.of("kv_cache")


def test_every_kind_of_cards_is_tried_where_not_every_group_is(home: dict[str, Wish]) -> None:
    names = ("rtx-3090", "rtx-3060") * 6
    rig = rig_of(names)
    wish = replace(
        home["search"], workload=replace(home["search"].workload, vram_mib=20_000, gpus=GpuLimits(count=4))
    )
    (chosen,) = place(Question((wish,), rig)).placed.values()
    assert {rig.cards[int(card.split("/")[1])].gpu.name for card in chosen.claims_mib} == {"rtx-3090"}
    assert len(set(groups(rig.cards, 4))) == len(list(groups(rig.cards, 4)))


def test_cards_that_no_driver_runs_together_are_not_used(home: dict[str, Wish]) -> None:
    found = of(home, "search", rig_of(("tesla-p40", "rtx-5090")))
    assert not found.options
    assert found.barred == {"you/0": "driver", "you/1": "driver"}


def test_one_memory_keeps_its_margin_and_what_others_hold(home: dict[str, Wish]) -> None:
    (spark,) = read_rig("workloads/rigs/dgx-spark.yaml").hosts
    (one,) = spark.cards
    held = Rig("held", (replace(spark, cards=(replace(one, foreign_mib=60_000),)),))
    first, second = (
        replace(
            home["search"], workload=replace(home["search"].workload, name=name, vram_mib=vram, ram_mib=ram)
        )
        for name, vram, ram in (("big", 40_000, 0), ("wide", 0, 30_000))
    )
    found = place(Question((first, second), held))
    assert [each.workload for each in found.refused] == ["wide"] or [
        each.workload for each in found.refused
    ] == ["big"]
    total = (one.memory_mib or 0) - 60_000 - one.reserved_mib
    assert sum(found.usage.ram_mib.values()) <= total < 40_000 + 30_000
