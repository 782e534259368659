"""Speed kept under power limits, held against what was published and against what others measured."""

from itertools import pairwise

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.power.published import parse
from labctl.rig.power_curve import REFERENCE, WORKS, curve_of

FOLDER = catalog.ROOT / "power"
FILES = sorted(FOLDER.glob("*.yaml"))
PUBLISHED = {path.stem: parse(path.read_text(encoding="utf-8"), path.name)[0] for path in FILES}
OTHERS = [
    (path.stem, other) for path in FILES for other in parse(path.read_text(encoding="utf-8"), path.name)[1]
]


def test_a_carried_file_is_what_the_schema_reads() -> None:
    assert [published.card for published in PUBLISHED.values()] == list(PUBLISHED)
    for name in PUBLISHED:
        assert catalog.power_curve(name) == curve_of(name, PUBLISHED)
        assert catalog.gpu(name).power_curve == catalog.power_curve(name)


@pytest.mark.parametrize(
    ("watts", "decode", "prefill"),
    [(350, 72.6, 9893), (250, 70.7, 8436), (200, 68.3, 5941), (150, 62.6, 2549), (100, 12.1, 1390)],
)
def test_the_published_points_of_the_3090_are_met(watts: int, decode: float, prefill: float) -> None:
    curve = catalog.power_curve("rtx-3090")
    assert curve.kept("decode", watts / 350) == pytest.approx(decode / 72.6)
    assert curve.kept("prefill", watts / 350) == pytest.approx(prefill / 9893)


@pytest.mark.parametrize(("card", "other"), OTHERS)
def test_the_curve_promises_no_more_than_others_measured(card: str, other: object) -> None:
    from labctl.power.published import Other

    assert isinstance(other, Other)
    default = catalog.gpu(card).tdp_watts
    assert default
    assert catalog.power_curve(card).kept(other.work, other.watts / default) <= other.kept


def test_280_watts_cost_a_3090_little() -> None:
    curve = catalog.power_curve("rtx-3090")
    assert curve.kept("decode", 280 / 350) > 0.98
    assert curve.kept("prefill", 280 / 350) > 0.90


def test_nothing_is_promised_between_the_measurements_of_a_cliff() -> None:
    curve = catalog.power_curve("rtx-3090")
    assert curve.kept("decode", 149 / 350) == pytest.approx(12.1 / 72.6)
    assert curve.kept("prefill", 199 / 350) == pytest.approx(2549 / 9893)


@pytest.mark.parametrize("name", [*PUBLISHED, "rtx-3060", "b200", "a card that nobody knows"])
def test_more_watts_never_cost_speed_and_full_power_keeps_all(name: str) -> None:
    curve = catalog.power_curve(name)
    for work in WORKS:
        kept = [curve.kept(work, permille / 1000) for permille in range(1201)]
        assert all(left <= right for left, right in pairwise(kept))
        assert kept[1000] == kept[1200] == 1
        assert 0 <= kept[0] < 0.2


def test_what_was_borrowed_says_from_whom() -> None:
    own = catalog.power_curve("rtx-4090")
    assert own.decode.measured_on(0.8) == "rtx-4090"
    assert own.decode.measured_on(0.3) == own.prefill.measured_on(0.8) == REFERENCE
    assert own.prefill.at(0.8) == catalog.power_curve(REFERENCE).prefill.at(0.8)
    assert catalog.power_curve("rtx-3060").decode.measured_on(0.8) == REFERENCE


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("[[300, 1], [250, 1]]", "the highest limit measured is the default"),
        ("[[350, 1], [350, 2]]", "each limit once"),
        ("[[350, 1], [250]]", "pairs of watts and speed"),
    ],
)
def test_a_file_without_sense_is_refused(pairs: str, message: str) -> None:
    text = f"card: x\ndefault_watts: 350\ndecode: {pairs}\nsources: [somebody]\n"
    with pytest.raises(BadInput, match=message):
        parse(text, "x.yaml")
