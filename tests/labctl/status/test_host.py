"""A host against its generation: memory against claims, drift, transactions, what to do, and measurements to keep."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.cli.status_answer import exit_code
from labctl.cli.status_document import status_document
from labctl.cli.status_text import status_text
from labctl.edges import measured as kept
from labctl.plan.plan import PlannedCard
from labctl.status.advice import above_claim, measured, suggestion
from labctl.status.host import HostStatus, WorkloadStatus
from labctl.status.question import UnitNow
from labctl.transaction.decision import FileSeen
from tests.host.complaints import too_wide
from tests.labctl.plan.plans import FIRST, SECOND, THIRD, claims
from tests.labctl.status.services_in_force import RUNS, STOPPED, home, seen, status

CHAT, IMAGES = "labctl-chat.service", "labctl-images.service"
STARTING = UnitNow("loaded", "activating", "start-pre", kind="notify")
USUAL: dict[int, dict[str, int | None]] = {0: {CHAT: 8800}, 1: {IMAGES: 6000}}


def workload(found: HostStatus, name: str) -> WorkloadStatus:
    return next(each for each in found.workloads if each.name == name)


def told(*found: HostStatus) -> str:
    text = status_text(found)
    assert too_wide(text) == [], text
    return text


def test_all_as_planned() -> None:
    found = status(home(), tokens_per_second={"chat": 41.5})
    assert found.as_planned
    assert exit_code((found,)) == 0
    text = told(found)
    assert text.startswith("aibox: as planned · generation 3 since 2026-11-21 12:01 UTC\n")
    assert "  chat    running, healthy, for 1 min\n" in text
    assert "          aibox/0: 8800 MiB (claim 9000 MiB) · 42 tokens/s · 127.0.0.1:20001\n" in text
    assert "  tune    waits for 23:30\n" in text
    assert "!" not in text


@pytest.mark.parametrize(
    ("held", "above", "advice"),
    [
        (8999, None, None),
        (9000, None, None),
        (9001, 9001, "labctl fit --measured"),
        (None, None, None),
    ],
)
def test_memory_against_an_estimated_claim(held: int | None, above: int | None, advice: str | None) -> None:
    found = status(home(), held={**USUAL, 0: {CHAT: held}})
    chat = workload(found, "chat")
    assert (chat.cards[0].held_mib, above_claim(chat)) == (held, above)
    assert found.as_planned == (above is None)
    assert (advice or "") in (suggestion(chat) or "")
    assert (suggestion(chat) is None) == (advice is None)


def test_memory_above_a_declared_claim_is_told_with_what_to_write() -> None:
    found = status(home(), held={**USUAL, 1: {IMAGES: 8200}})
    assert exit_code((found,)) == 3
    assert " ".join(told(found).split("!")[1].split()) == (
        "labctl-images.service holds 8200 MiB on aibox/1, 1200 MiB more than its claim → Write `vram_mib: 8448` under "
        "images in workloads.yaml, then place and apply again."
    )
    document: dict[str, Any] = status_document((found,), 3)["hosts"][0]  # type: ignore[index]  # a document
    images = next(each for each in document["workloads"] if each["workload"] == "images")
    assert images["gpus"][0]["above_claim_mib"] == 1200
    assert not images["as_planned"]


def test_an_engine_that_takes_what_is_free_is_never_above() -> None:
    there = home()
    there = replace(
        there, workloads={**there.workloads, "images": replace(there.workloads["images"], elastic=True)}
    )
    found = status(there, held={**USUAL, 1: {IMAGES: 20_000}})
    assert (above_claim(workload(found, "images")), found.as_planned) == (None, True)


def test_a_stopped_one_is_told_once() -> None:
    found = status(home(), {"chat": STOPPED}, held={1: {IMAGES: 6000}})
    assert found.drift.units == ()
    assert exit_code((found,)) == 3
    text = told(found)
    assert "! chat    stopped, for 10 s\n" in text
    assert "! chat was stopped\n  → `labctl start chat`\n" in text


def test_what_runs_on_another_card_or_on_none_is_told() -> None:
    found = status(home(), held={1: {CHAT: 8800, IMAGES: 6000}})
    assert {each.kind for each in found.drift.units} == {"wrong_card", "silent"}
    assert "belongs on aibox/0" in told(found)


def test_files_that_were_changed_by_hand_or_are_gone_or_nobodys() -> None:
    before = seen(home())
    files = dict(before.installed)
    files["units/labctl-chat.container"] = FileSeen("0" * 64, "600")
    del files["units/labctl-ui.container"]
    files["units/mine.container"] = FileSeen("1" * 64, "600")
    found = status(home(), at_host=replace(before, installed=files))
    assert (found.drift.edited, found.drift.missing, found.drift.foreign) == (
        ("units/labctl-chat.container",),
        ("units/labctl-ui.container",),
        ("units/mine.container",),
    )
    assert exit_code((found,)) == 3
    assert "! units/labctl-chat.container was edited by hand\n" in told(found)


def test_a_card_that_is_gone() -> None:
    there = home()
    third = replace(there.rig.hosts[0].cards[1], id="GPU-dddddddd-0000-4000-8000-000000000000")
    more = replace(there.rig.hosts[0], cards=(*there.rig.hosts[0].cards, third))
    found = status(replace(there, rig=replace(there.rig, hosts=(more,))))
    assert [(each.kind, each.card) for each in found.drift.hardware] == [("card_gone", third.id)]
    assert "is gone (rtx-3090)" in told(found)


@pytest.mark.parametrize(
    "kept_trying", [UnitNow("loaded", "activating", "auto-restart", "exit-code", 4), STARTING]
)
def test_what_cannot_start_without_its_card_says_so_and_how_it_moves(kept_trying: UnitNow) -> None:
    there = home()
    chat = replace(there.workloads["chat"], cards=claims(third=9000))
    more = replace(
        there.rig.hosts[0], cards=(*there.rig.hosts[0].cards, PlannedCard(THIRD, "rtx-3090", 24123))
    )
    there = replace(there, rig=replace(there.rig, hosts=(more,)), workloads={**there.workloads, "chat": chat})
    found = status(there, {"chat": kept_trying})
    text = " ".join(told(found).split())
    assert "! chat cannot start: aibox/2 does not answer" in text
    assert f"`labctl place --without {THIRD}` and `labctl apply` move it." in text
    assert "labctl logs chat" not in text
    document: dict[str, Any] = status_document((found,), 3)["hosts"][0]  # type: ignore[index]  # a document
    assert {
        each["workload"]: each["silent_gpus"] for each in document["workloads"] if each["silent_gpus"]
    } == {"chat": [THIRD]}
    stopped = status(there, {"chat": STOPPED})
    assert "! chat was stopped" in told(stopped)


@pytest.mark.parametrize(
    ("about", "as_planned", "words"),
    [
        ({"open": "0123456789abcdef"}, False, "An apply did not end: 0123456789abcdef"),
        (
            {"open": "0123", "running": "transaction 0123, process 7"},
            False,
            "An apply is under way: transaction 0123",
        ),
        (
            {
                "last": {
                    "outcome": "rolled back",
                    "error": {"where": "chat", "message": "it failed", "hint": "look"},
                }
            },
            True,
            "The last apply was rolled back: chat: it failed\n  → look\n",
        ),
    ],
)
def test_transactions(about: dict[str, Any], as_planned: bool, words: str) -> None:
    before = seen(home())
    found = status(home(), at_host=replace(before, status={**(before.status or {}), **about}))
    assert (found.as_planned, words in told(found)) == (as_planned, True)


def test_a_host_that_does_not_answer_and_one_with_nothing_in_force() -> None:
    silent, empty = HostStatus("gone", problem="no SSH connection"), HostStatus("new")
    assert (exit_code((silent, status(home()))), exit_code((empty,))) == (1, 0)
    assert told(silent, empty) == (
        "! gone could not be asked: no SSH connection\n\n"
        "new: nothing is in force yet; `labctl apply` puts a plan there.\n"
    )


def test_what_was_measured_reads_back_as_measurements(tmp_path: Path) -> None:
    found = status(home(), tokens_per_second={"chat": 41.46})
    text = measured((found,), "2026-11-21")
    assert text is not None
    (tmp_path / "measured.yaml").write_text(text)
    (each,) = kept.read(tmp_path / "measured.yaml")
    assert (each.engine, each.model, each.quant, each.card, each.context) == (
        "llama.cpp", "qwen2.5-7b", "Q8_0", "rtx-3090", 8192,
    )  # fmt: skip
    assert (each.meter, each.total_mib, each.tokens_per_second) == ("process", 8800, 41.5)


@pytest.mark.parametrize(
    ("units", "held"),
    [({"chat": STOPPED}, USUAL), ({"chat": replace(RUNS, active="failed")}, USUAL), ({}, {0: {CHAT: None}})],
)
def test_what_does_not_run_or_is_not_told_is_no_measurement(units: Any, held: Any) -> None:
    assert measured((status(home(), units, held=held),), "2026-11-21") is None


def test_a_run_on_two_cards_is_measured_when_both_are_told() -> None:
    there = home()
    both = replace(there.workloads["chat"], cards=claims(first=9000, second=9000))
    there = replace(there, workloads={**there.workloads, "chat": both})
    held: dict[int, dict[str, int | None]] = {0: {CHAT: 8000}, 1: {CHAT: 8500, IMAGES: 6000}}
    text = measured((status(there, held=held),), "2026-11-21")
    assert text is not None
    assert '"n_gpus": 2' in text
    assert '"total_mib": 8500' in text
    one_is_silent = {**held, 1: {CHAT: None, IMAGES: 6000}}
    assert measured((status(there, held=one_is_silent),), "2026-11-21") is None


def test_what_holds_nothing_holds_nothing() -> None:
    assert [use.held_mib for use in workload(status(home()), "tune").cards] == [0]


def test_the_cards_of_the_plan_are_those_of_the_tests() -> None:
    assert [card.id for card in home().rig.hosts[0].cards] == [FIRST, SECOND]
