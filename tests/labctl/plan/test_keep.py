"""What a kept plan says runs, and which cards may have been replaced."""

from dataclasses import replace

import pytest

from labctl.errors import BadInput
from labctl.place.problem import Incumbent
from labctl.plan.keep import NOT_RUNNING, incumbents, replacements
from labctl.plan.plan import Plan, Unplaced
from labctl.rig.rig import Host, Rig
from tests.labctl.plan.plans import FIRST, SECOND, THIRD, claims, host, plan, runs
from tests.labctl.plan.questions import answered, card, question

NEW = "GPU-dddddddd-0000-4000-8000-000000000000"


def two() -> Plan:
    return plan(
        {"chat": runs(cards=claims(first=1000, second=1000), variant={"b": 1, "a": [1.0]})},
        unplaced={"ui": Unplaced("open-webui", "aibox"), "x": Unplaced("container")},
    )


def test_what_runs_is_by_host_cards_and_settings() -> None:
    assert incumbents(two()) == {
        "chat": Incumbent("aibox", (FIRST, SECOND), '{"a":[1.0],"b":1}'),
        "ui": Incumbent("aibox", (), NOT_RUNNING),
    }
    assert incumbents(two(), {SECOND: NEW})["chat"].cards == (FIRST, NEW)


def test_ids_of_variants_are_those_of_the_options() -> None:
    """Else nothing would ever be kept."""
    for seed in range(8):
        found, placement = answered(question(seed))
        now = incumbents(found)
        assert {name: option.variant_id for name, option in placement.placed.items()} == {
            name: now[name].variant_id for name in found.workloads
        }


def rig(*ids: str, host: str = "aibox") -> Rig:
    cards = tuple(replace(card(host, index, "rtx-3090", 0), id=each) for index, each in enumerate(ids))
    other = replace(card("other", 0, "rtx-3090", 0), id="GPU-eeeeeeee-0000-4000-8000-000000000000")
    return Rig("home", (Host(host, cards), Host("other", (other,))))


def test_a_swapped_card() -> None:
    assert replacements((f"{SECOND}={NEW}",), two(), rig(FIRST, NEW)) == {SECOND: NEW}
    assert replacements((), two(), rig(FIRST)) == {}


@pytest.mark.parametrize(
    ("written", "there", "words"),
    [
        ("x", (FIRST, NEW), ("not a replacement", "found x", "OLD=NEW")),
        ("=x", (FIRST, NEW), ("not a replacement",)),
        (f"{SECOND[:-1]}1={NEW}", (FIRST, NEW), ("kept plan has no such card", f"did you mean {SECOND}?")),
        (f"nonsense={NEW}", (FIRST, NEW), ("kept plan has no such card", f"there is {FIRST}, {SECOND}")),
        (f"{SECOND}={NEW[:-1]}1", (FIRST, NEW), ("rig has no such card", f"did you mean {NEW}?")),
        (f"{FIRST}={NEW}", (FIRST, NEW), ("still there", f"there is {SECOND}")),
        (f"{SECOND}={FIRST}", (FIRST, NEW), ("in the kept plan already", f"there is {NEW}")),
        (
            f"{SECOND}=GPU-eeeeeeee-0000-4000-8000-000000000000",
            (FIRST, NEW),
            ("was on aibox, this card is on other", NEW),
        ),
    ],
)
def test_one_that_cannot_be_meant_names_the_nearest(
    written: str, there: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput) as refused:
        replacements((written,), two(), rig(*there))
    assert refused.value.where == "--replace"
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_no_card_is_replaced_twice() -> None:
    kept = plan({}, host(FIRST, SECOND))
    for twice in ((f"{FIRST}={NEW}", f"{SECOND}={NEW}"), (f"{FIRST}={NEW}", f"{FIRST}={THIRD}")):
        with pytest.raises(BadInput, match="replaced twice"):
            replacements(twice, kept, rig(NEW, THIRD))
