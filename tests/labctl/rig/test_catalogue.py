"""The cards: every file is whole and sourced, and the figures are the ones the seeds and data sheets give."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.place.prices import price_in
from labctl.rig import catalogue
from labctl.rig.gpu import Gpu

CARDS = catalog.gpus()
TEXT = (catalog.ROOT / "gpus" / "rtx-3090.yaml").read_text()
# Cards of the table in "My new home AI server" and of https://osmarks.net/mlrig/: name → memory GB, GB/s, capability.
NAMED = {
    "rtx-pro-4000": (24, 672, "12.0"),
    "rtx-4500-ada": (24, 432, "8.9"),
    "rtx-5080": (16, 960, "12.0"),
    "rtx-5090": (32, 1792, "12.0"),
    "rtx-3090": (24, 936, "8.6"),
    "rtx-4090": (24, 1008, "8.9"),
    "dgx-spark": (128, 273, "12.1"),
    "tesla-p40": (24, 346, "6.1"),
    "l40": (48, 864, "8.9"),
    "rtx-3060": (12, 360, "8.6"),
    "tesla-k80": (12, 240, "3.7"),
    "tesla-m40-24gb": (24, 288, "5.2"),
    "tesla-p100-pcie-16gb": (16, 732, "6.0"),
    "rtx-6000-ada": (48, 960, "8.9"),
    "rtx-a2000": (6, 288, "8.6"),
    "quadro-m2000": (4, 106, "5.2"),
    "rtx-4060": (8, 272, "8.9"),
    "tesla-m40": (12, 288, "5.2"),
    "tesla-v100-pcie-16gb": (16, 897, "7.0"),
}
# What the same table asks for a card, in pounds.
PRICES = {
    "rtx-4500-ada": 3084.52, "rtx-5080": 1345, "rtx-5090": 2200, "rtx-3090": 1250, "rtx-4090": 2800,
    "dgx-spark": 3500, "tesla-p40": 1856.16, "l40": 7119.98,
}  # fmt: skip


@pytest.mark.parametrize("path", sorted((catalog.ROOT / "gpus").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_card_is_whole_and_is_called_as_its_file(path: Path) -> None:
    card = catalogue.parse(path.read_text(), path.name)
    assert card.name == path.stem
    assert card.bandwidth_gbs is not None
    assert all(len(source.from_) > 12 for source in card.sources)


def test_all_generations_are_there() -> None:
    assert {card.architecture for card in CARDS} == {
        "kepler", "maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell",
    }  # fmt: skip
    assert len(CARDS) > 140


@pytest.mark.parametrize("name", NAMED)
def test_the_cards_of_the_seeds(name: str) -> None:
    memory_gb, bandwidth_gbs, capability = NAMED[name]
    card = catalog.gpu(name)
    assert card.memory_mib == memory_gb * 1024
    assert card.bandwidth_gbs == pytest.approx(bandwidth_gbs, rel=0.01)
    assert card.compute_capability == capability


def test_prices_and_peaks_of_the_seeds() -> None:
    pounds = {card.name: price.amount for card in CARDS if (price := price_in(card, "GBP"))}
    assert pounds == PRICES
    assert {price.currency for card in CARDS for price in card.prices} == {"GBP", "USD"}
    for card in CARDS:
        for price in card.prices:
            # One URL or document, and nothing that could not be a card's price.
            assert price.source.startswith("https://") or "home lab post" in price.source
            assert 20 < price.amount < 20_000
    assert catalog.gpu("rtx-3090").transient_peak_watts == 600


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("rtx-3090", True), ("rtx-3090-ti", True), ("rtx-3080-ti", False), ("rtx-4090", False), ("rtx-5090", False),
        ("titan-rtx", True), ("rtx-2080-ti", True), ("rtx-2070", False), ("rtx-2060", False), ("gtx-1080-ti", False),
        ("rtx-a6000", True), ("rtx-a4500", True), ("rtx-a4000", False), ("rtx-6000-ada", False), ("l40s", False),
        ("a100-pcie-80gb", True), ("h100-sxm5-80gb", True), ("tesla-v100-pcie-16gb", False),
        ("tesla-v100-sxm2-16gb", True), ("tesla-p40", False), ("tesla-p100-pcie-16gb", False), ("tesla-t4", False),
        ("rtx-pro-6000", False), ("dgx-spark", False),
    ],
)  # fmt: skip
def test_which_cards_have_nvlink(name: str, has: bool) -> None:
    assert catalog.gpu(name).nvlink is has


def test_every_card_says_whether_it_has_nvlink() -> None:
    assert [card.name for card in CARDS if card.nvlink is None] == []
    assert [card.name for card in CARDS if card.nvlink_gbs and not card.nvlink] == []


def test_power_limits_hold_the_tdp() -> None:
    limited = [card for card in CARDS if card.power_min_watts or card.power_max_watts]
    assert len(limited) >= 25
    for card in limited:
        assert card.tdp_watts is not None
        assert (card.power_min_watts or 0) <= card.tdp_watts <= (card.power_max_watts or card.tdp_watts), (
            card.name
        )


def test_no_name_or_alias_means_two_cards() -> None:
    seen: dict[str, str] = {}
    for card in CARDS:
        for name in {card.name, *card.aliases}:
            assert seen.setdefault(name, card.name) == card.name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("NVIDIA GeForce RTX 3090", "rtx-3090"),
        ("Tesla P40", "tesla-p40"),
        ("NVIDIA GB10", "dgx-spark"),
        ("Quadro M2000", "quadro-m2000"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
    ],
)
def test_a_card_is_found_by_the_name_that_nvml_gives(said: str, name: str) -> None:
    assert catalog.gpu(said).name == name


def test_an_unknown_card_is_refused_with_its_neighbours() -> None:
    with pytest.raises(BadInput, match=r"did you mean.*rtx-3090"):
        catalog.gpu("rtx-3091")


@pytest.mark.parametrize(
    ("read", "hint"),
    [
        (catalog.gpu, f"it has {len(CARDS)} of them, called as rtx-3090"),
        (catalog.quantization, f"it has {len(catalog.quantizations())} of them, called as Q4_K_M"),
        (catalog.model_record, "`labctl fit` without a model lists what fits"),
        (catalog.diffusion_model, "`labctl fit` without a model lists what fits"),
        (catalog.whisper_model, "`labctl fit` without a model lists what fits"),
    ],
)
def test_what_is_like_nothing_is_refused_with_how_to_see_what_there_is(
    read: Callable[[str], object], hint: str
) -> None:
    with pytest.raises(BadInput) as refusal:
        read("../wwww")
    assert refusal.value.hint == hint


def test_cuda_sees_less_than_the_board_has() -> None:
    seen = [card for card in CARDS if card.cuda_memory_mib is not None]
    assert len(seen) >= 75
    assert all(0.85 < (card.cuda_memory_mib or 0) / card.memory_mib < 1 for card in seen)


@pytest.mark.parametrize(
    ("name", "tflops"),
    # https://osmarks.net/mlrig/: "FP16 dense tensor TFLOP/s from spec sheet (FP32 accumulate)", else FP32.
    [("rtx-4090", 165), ("rtx-3090", 71), ("rtx-3060", 25), ("tesla-m40-24gb", 7), ("tesla-p40", 12)],
)
def test_tensor_rates_are_those_of_the_data_sheets(name: str, tflops: float) -> None:
    assert catalog.gpu(name).tensor_tflops() == pytest.approx(tflops, rel=0.05)


def test_unified_memory_is_marked() -> None:
    assert catalog.gpu("dgx-spark").unified_memory
    assert not catalog.gpu("rtx-5090").unified_memory


def test_a_slot_carries_what_its_generation_does() -> None:
    assert catalog.gpu("rtx-3090").pcie_gbs == pytest.approx(31.5, rel=0.01)
    assert catalog.gpu("quadro-m2000").pcie_gbs == pytest.approx(15.75, rel=0.01)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("memory_mib: 24576", "memory_mib: lots", r"x\.yaml:6: `memory_mib`: .*found 'lots', expected a whole number"),
        ("tdp_watts: 350", "tdp_wats: 350", r"x\.yaml:1: a key is missing .*`tdp_watts`"),
        ("note", "note", ""),
        ("  - covers: [power_min", "  - covers: [power_mean", r"no source covers power_min_watts"),
        ("prices:", "price:", r"x\.yaml:\d+: .*`prices?`"),
        ("currency: USD", "currency: GBP", r"more than one price in GBP"),
        ("used: true", "used: maybe", r"used"),
        ('seen: "2026-05"', 'seen: "May"', r"seen"),
        ("form_factor", "form_factor", ""),
        ("architecture: ampere", "architecture: ampere\narchitecture: ada", r"x\.yaml:5: `architecture` stands twice"),
        ("{amount: 1250, currency: GBP,", "{amount: 1250, {", r"x\.yaml:\d+: not YAML"),
        ("cuda_memory_mib: 24123", "cuda_memory_mib: 99999", "cannot see more memory"),
    ],
)  # fmt: skip
def test_a_wrong_card_is_told_with_its_line(before: str, after: str, message: str) -> None:
    text = TEXT.replace(before, after, 1)
    if not message:
        assert isinstance(catalogue.parse(text, "x.yaml"), Gpu)
        return
    with pytest.raises(BadInput, match=message):
        catalogue.parse(text, "x.yaml")
