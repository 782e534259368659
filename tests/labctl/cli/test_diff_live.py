"""`labctl diff PLAN live` as people and tools see it, of machines that are made up."""

from pathlib import Path

import pytest

from labctl.cli.diff_live_text import live_text
from labctl.edges import inventory_argument
from labctl.plan.live import Seen, against_live
from labctl.plan.plan import Plan
from labctl.plan.plan_json import dump
from labctl.rig.live import LiveHost
from labctl.rig.rig import Host
from tests.labctl.cli.fit_command import Command
from tests.labctl.plan.machines import CHAT, IMAGES, both, machine
from tests.labctl.plan.plans import FIRST, SECOND, THIRD, claims, host, plan, runs


def shown(found: LiveHost, planned: Plan, *, everything: bool = True, problems: tuple[str, ...] = ()) -> str:
    seen = Seen((found,), everything=everything, running=True)
    text = live_text(against_live(planned, seen), planned, "plan.json", seen, problems)
    assert [line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()] == []
    return text


SAME = """\
aibox is as plan.json says.

Not seen: ui. Only services that hold memory on a card can be seen so far.
"""
WRONG = """\
aibox is not as plan.json says.

Services
  labctl-chat.service holds 11.7 GiB on aibox/1, but belongs on aibox/0
  labctl-old.service holds 500 MiB on aibox/1 and is not in the plan
  labctl-chat.service holds nothing on aibox/0, where 9000 MiB is planned: does
      it run?
  labctl-images.service holds nothing on aibox/1, where 7000 MiB is planned:
      does it run?

Not seen: ui. Only services that hold memory on a card can be seen so far.
"""
SWAPPED = """\
aibox is not as plan.json says.

Hardware
  GPU-bbbbbbbb is gone (rtx-3090)
  GPU-cccccccc is new (rtx-3090)

Services
  labctl-chat.service holds 9100 MiB on aibox/0, 100 MiB more than its claim
! aibox: 41:00.0: this card does not answer: GPU is lost

Not seen: ui. Only services that hold memory on a card can be seen so far.
"""
SMALLER = """\
aibox is not as plan.json says.

Hardware
  aibox/0 has 24000 MiB of memory, not 24123 MiB
  aibox/1 has 24000 MiB of memory, not 24123 MiB
  aibox has 126 GiB of RAM, not 64 GiB

Not looked at: far; --inventory names more hosts.
"""


def test_as_people_see_it() -> None:
    assert shown(machine({0: {CHAT: 9000}, 1: {IMAGES: 5}}), both()) == SAME
    assert shown(machine({1: {CHAT: 12000, "labctl-old.service": 500}}), both()) == WRONG
    lost = ("aibox: 41:00.0: this card does not answer: GPU is lost",)
    assert shown(machine({0: {CHAT: 9100}}, FIRST, THIRD), both(), problems=lost) == SWAPPED
    small = plan({}, host(FIRST, SECOND, ram_gib=64), host(name="far"))
    assert shown(machine({}, memory_mib=24000), small, everything=False) == SMALLER


def test_cards_in_other_slots_go_by_their_ids() -> None:
    said = shown(machine({}, SECOND, FIRST), plan({}, host(FIRST, SECOND, ram_gib=126)))
    order = "GPU-aaaaaaaa, GPU-bbbbbbbb before,\n      GPU-bbbbbbbb, GPU-aaaaaaaa now"
    assert f"aibox has its cards in another order: {order}" in said


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "plan.json"
    path.write_text(dump(both()))
    return str(path)


def test_this_machine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    diff = Command(capsys, "diff")
    now = machine({0: {CHAT: 9000}, 1: {IMAGES: 5}})
    monkeypatch.setattr("labctl.cli.diff_answer.this_machine", lambda: now)
    assert diff(file, "live").code == 0
    monkeypatch.setattr("labctl.cli.diff_answer.this_machine", lambda: machine({0: {CHAT: 9001}}))
    said = diff(file, "live", "--json")
    assert said.code == 3
    assert set(said.document) == {
        "schema_version", "before", "after", "same", "hosts", "hardware", "units", "not_seen", "not_looked_at",
        "problems",
    }  # fmt: skip
    assert said.document["units"][0] == {
        "kind": "above_claim", "unit": CHAT, "host": "aibox", "card": FIRST, "held_mib": 9001, "claim_mib": 9000,
        "planned_cards": [FIRST],
    }  # fmt: skip
    assert said.document["not_seen"] == ["ui"]


def test_a_host_that_cannot_be_read_is_no_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    unread = LiveHost(Host("aibox", ()), (), problems=("no SSH",))
    monkeypatch.setattr("labctl.cli.diff_answer.of_inventory", lambda _: (unread,))
    said = Command(capsys, "diff")(file, "live", "--inventory", "x.py")
    assert said.code == 1
    assert "! aibox: no SSH" in said.out
    assert "gone" not in said.out
    assert "as plan.json says" not in said.out
    assert said.out.startswith("aibox does not answer.\n")
    assert "Not looked at: aibox" in said.out
    assert Command(capsys, "diff")(file, "live", "--inventory", "x.py", "--json").document["same"] is None
    lost = machine({0: {CHAT: 1}}, FIRST)
    broken = LiveHost(lost.host, lost.readings, problems=("a card is lost",))
    monkeypatch.setattr("labctl.cli.diff_answer.of_inventory", lambda _: (broken,))
    assert Command(capsys, "diff")(file, "live", "--inventory", "x.py").code == 3


@pytest.mark.parametrize(
    ("inventory", "code"), [("x.py", 3), ("x.py:aibox", 0)], ids=["the whole inventory", "one host of it"]
)
def test_a_whole_inventory_misses_hosts(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    inventory: str,
    code: int,
) -> None:
    path = tmp_path / "two.json"
    there = host(FIRST, SECOND, ram_gib=126)
    path.write_text(dump(plan({"chat": runs(cards=claims(first=9000))}, there, host(name="far"))))
    asked = []

    def read(named: str) -> tuple[LiveHost, ...]:
        asked.append(named)
        return (machine({0: {CHAT: 9000}}),)

    monkeypatch.setattr("labctl.cli.diff_answer.of_inventory", read)
    assert Command(capsys, "diff")(str(path), "live", "--inventory", inventory).code == code
    assert asked == [inventory]
    assert inventory_argument.split("x.py:aibox") == ("x.py", "aibox")
