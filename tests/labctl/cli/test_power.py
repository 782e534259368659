"""`labctl power`: what limits cost, before they are set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.__main__ import run
from labctl.cli.gpus_text import WIDTH
from labctl.edges import catalog, machines
from labctl.edges.rigs import read_rig
from labctl.errors import ANSWER_IS_NO, DONE, FAILED
from labctl.place.power import power
from labctl.rig.live import LiveHost, planned
from labctl.rig.rig import Card, Host
from tests.house_rules.tree import ROOT
from tests.labctl.cli.fit_command import Command

RIGS = sorted((ROOT / "workloads" / "rigs").glob("*.yaml"))
DUAL = str(ROOT / "workloads" / "rigs" / "dual-3090.yaml")


@pytest.fixture
def tried(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "power")


SHOWN = """\
aibox · 2 cards
 # card                    limit W  default      range  draw   decode  prefill
 0 RTX 3090              280 → 350      350    100–375     –   100 %    100 %
 1 RTX 3090              280 → 200      350    100–375     –    94 %     60 %
Together 745 W of the power supply's 1300 W: cards 550 W, the rest 195 W; spikes
  to 1145 W

Nothing was changed. To make it so, in the inventory for aibox:
  "gpu_power": {"limits": {"rtx-3090": 350, "aibox/1": 200}}
  with the cards' UUIDs in place of HOST/NUMBER (labctl gpus --json)
then: labctl deploy
"""


def test_what_people_see(tried: Command) -> None:
    answer = tried("--rig", DUAL, "--set", "rtx-3090=350", "--set", "aibox/1=200")
    assert (answer.code, answer.out) == (DONE, SHOWN)


@pytest.mark.parametrize("path", RIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("what", [(), ("--budget", "3000")])
def test_every_seed_rig_fits_a_terminal(path: Path, what: tuple[str, ...], tried: Command) -> None:
    if what and path.stem == "dgx-spark":
        assert "cannot be set" in tried.refusal("--rig", str(path), *what)
        return
    answer = tried("--rig", str(path), *what)
    assert answer.code in (DONE, ANSWER_IS_NO)
    assert max(map(len, answer.out.splitlines())) <= WIDTH


def test_the_document_says_all_of_it(tried: Command) -> None:
    document = tried("--rig", DUAL, "--budget", "500", "--json").document
    assert document["setting"] == {"budget_watts": 500}
    (host,) = document["hosts"]
    assert [gpu["limit_watts"] for gpu in host["gpus"]] == [250, 250]
    first = host["gpus"][0]
    assert (first["limit_now_watts"], first["default_watts"], first["min_watts"], first["max_watts"]) == (
        280,
        350,
        100,
        375,
    )
    assert first["speed_kept"]["decode"] == pytest.approx(70.7 / 72.6, abs=1e-4)
    assert first["speed_kept"]["prefill"] == pytest.approx(8436 / 9893, abs=1e-4)
    assert first["measured_on"] == {"decode": "rtx-3090", "prefill": "rtx-3090"}
    rig = read_rig(DUAL).hosts[0]
    limited = replace(rig, cards=tuple(replace(card, power_limit_watts=250) for card in rig.cards))
    assert host["power"]["gpu_watts"] == 500
    assert host["power"]["peak_watts"] == power(limited).peak_watts


def test_nothing_tried_is_what_is(tried: Command) -> None:
    document = tried("--rig", DUAL, "--json").document
    assert (document["tried"], document["setting"], document["live"]) == (False, None, False)
    assert [gpu["limit_watts"] for gpu in document["hosts"][0]["gpus"]] == [280, 280]


def test_what_is_borrowed_is_marked(tried: Command, tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text("name: x\nhosts:\n- name: x\n  gpus:\n  - {model: rtx-4090, power_limit_watts: 320}\n")
    out = tried("--rig", str(rig)).out
    assert "93 %     84 %~" in out
    assert "~ nobody measured this on rtx-4090: as on rtx-3090" in out
    assert "not known: psu_watts in a rig file" in out


def test_a_power_supply_that_is_too_small_is_a_no_to_what_was_tried(tried: Command, tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text("name: x\nhosts:\n- name: x\n  psu_watts: 550\n  gpus:\n  - {model: rtx-3090, count: 2}\n")
    no = tried("--rig", str(rig), "--set", "280")
    assert no.code == ANSWER_IS_NO
    assert "! 6" in no.out
    assert tried("--rig", str(rig)).code == DONE
    assert tried("--rig", str(rig), "--set", "200").code == DONE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "many"), "not a limit"),
        (("--set", "rtx-3090="), "WATTS, MODEL=WATTS or UUID=WATTS"),
        (("--set", "=280"), "not a limit"),
        (("--set", "0"), "not a limit"),
        (("--set", "280", "--set", "all=250"), "given twice"),
        (("--set", "90"), "100 to 375 W"),
        (("--set", "rtx-3080=280"), "did you mean rtx-3090"),
        (("--set", "GPU-12345678=280"), "no card here has this UUID"),
        (("--budget", "150"), "200 W or more"),
        (("--budget", "0"), "not a budget"),
        (("inventory/home.py",), "two machines are named"),
    ],
)
def test_what_cannot_be_meant_is_refused(tried: Command, arguments: tuple[str, ...], words: str) -> None:
    assert words in tried.refusal("--rig", DUAL, *arguments)


def test_a_budget_is_for_one_host_and_a_limit_for_whoever_has_the_card(
    tried: Command, tmp_path: Path
) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text(
        "name: x\nhosts:\n- {name: a, gpus: [{model: rtx-3090}]}\n- {name: b, gpus: [{model: rtx-3060}]}\n"
    )
    assert "one host" in tried.refusal("--rig", str(rig), "--budget", "400")
    document = tried("--rig", str(rig), "--set", "rtx-3090=280", "--json").document
    assert [host["gpus"][0]["limit_watts"] for host in document["hosts"]] == [280, 170]


def test_a_live_machine_with_a_card_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu = catalog.gpu("rtx-3090")
    card = Card("GPU-1", "box", 0, gpu, 24123, power_limit_watts=300, power_default_watts=370,
                power_min_watts=120, power_max_watts=400)  # fmt: skip
    live = planned(Host("box", (card,)))
    reading = replace(live.readings[0], power_watts=123.4)
    said = "card 1: this card does not answer"
    monkeypatch.setattr(machines, "this_machine", lambda: LiveHost(live.host, (reading,), None, (said,)))
    assert run(["power", "--json"]) == FAILED
    document = json.loads(capsys.readouterr().out)
    (host,) = document["hosts"]
    (shown,) = host["gpus"]
    assert (shown["draw_watts"], shown["default_watts"], shown["min_watts"]) == (123.4, 370, 120)
    assert (document["live"], host["problems"]) == (True, [said])
    assert run(["power", "--set", "300"]) == FAILED
    out = capsys.readouterr().out
    assert "   123 " in out
    assert f"! {said}" in out
