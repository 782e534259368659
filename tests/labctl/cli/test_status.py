"""`labctl status`, `logs`, `start`, `stop` and `restart` against a simulated host."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.__main__ import run
from labctl.cli import control_answer, logs_answer, status_answer
from labctl.edges import machines
from labctl.edges.held_shell import HeldShell
from labctl.edges.shell_programs import ShellPrograms
from labctl.errors import Failed, LabctlError
from labctl.mask import MASK
from tests.host.complaints import too_wide
from tests.labctl.apply.house import Terminal
from tests.labctl.cli.fit_command import Answer, Command
from tests.labctl.plan.machines import machine
from tests.labctl.status.services_in_force import JOB, home
from tests.labctl.status.simulated_services import SimulatedServices, stopped

FILES = [
    "labctl-files.service",
    "labctl-files-cache.service",
    "labctl-files-cron.service",
    "labctl-files-db.service",
]
SILENT = Failed("no SSH connection", where="second", hint="try by hand")


class Services:
    """The commands, and the host that they are run against."""

    def __init__(self, capsys: pytest.CaptureFixture[str], shell: SimulatedServices) -> None:
        self._capsys, self.shell = capsys, shell
        self.hosts: dict[str, HeldShell | LabctlError] = {"aibox": shell}

    def __call__(self, command: str, *arguments: str) -> Answer:
        answer = Command(self._capsys, command)(*arguments)
        assert answer.out.startswith("{") or too_wide(answer.out) == [], answer.out
        return answer

    @contextmanager
    def opened(self, _inventory: str) -> Iterator[Mapping[str, HeldShell | LabctlError]]:
        yield self.hosts


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Services:
    shell = SimulatedServices(home())
    made = Services(capsys, shell)
    for module in (control_answer, logs_answer, status_answer):
        monkeypatch.setattr(module, "host_shells", made.opened)
    held = {0: {"labctl-chat.service": 8800}, 1: {"labctl-images.service": 7100}}
    monkeypatch.setattr(
        machines, "read", lambda _name, _output: machine({i: dict(u) for i, u in held.items()})
    )

    def sleep(_self: ShellPrograms, seconds: float) -> None:
        shell.seconds += seconds

    monkeypatch.setattr(ShellPrograms, "sleep", sleep)
    monkeypatch.setattr(ShellPrograms, "seconds", lambda _self: shell.seconds)
    return made


def of(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["workloads"] if each["workload"] == name)
    return found


def test_status_flags_what_is_above_its_claim(lab: Services) -> None:
    answer = lab("status", "--json")
    (host,) = answer.document["hosts"]
    assert (answer.code, answer.document["exit_code"], host["as_planned"]) == (3, 3, False)
    images, chat = of(host, "images"), of(host, "chat")
    assert (images["gpus"][0]["held_mib"], images["gpus"][0]["above_claim_mib"]) == (7100, 100)
    assert "vram_mib: 7424" in images["suggestion"]
    assert (chat["state"], chat["health"], chat["gpus"][0]["above_claim_mib"], chat["as_planned"]) == (
        "running", "healthy", 0, True,
    )  # fmt: skip
    assert host["drift"]["edited"] == host["drift"]["missing"] == []
    assert "100 MiB more than its claim" in lab("status").out


def test_status_of_a_host_that_is_silent_is_shown_beside_the_others(lab: Services) -> None:
    lab.hosts["second"] = SILENT
    answer = lab("status", "--json")
    assert (answer.code, answer.document["as_planned"]) == (1, None)
    assert [each["problem"] for each in answer.document["hosts"]] == [None, "no SSH connection — try by hand"]


def test_status_where_nothing_is_in_force(lab: Services) -> None:
    lab.shell.has_generation = False
    answer = lab("status")
    assert (answer.code, "nothing is in force yet" in answer.out) == (0, True)


def test_status_saves_what_was_measured_once(lab: Services, tmp_path: Path) -> None:
    file = tmp_path / "measured.yaml"
    answer = lab("status", "--save-measured", str(file))
    assert answer.code == 3
    assert '"total_mib": 8800' in file.read_text()
    assert "the file is there already" in Command(lab._capsys, "status").refusal("--save-measured", str(file))
    stopped(lab.shell, "chat")
    assert lab("status", "--save-measured", str(tmp_path / "none.yaml")).code == 3
    assert not (tmp_path / "none.yaml").exists()


def test_watching_needs_a_screen(lab: Services) -> None:
    assert "no screen" in Command(lab._capsys, "status").refusal("--watch")


def test_watching_draws_again_until_interrupted(lab: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    turns = iter((lambda: stopped(lab.shell, "chat"), None))

    def sleep(_seconds: float) -> None:
        turn = next(turns)
        if turn is None:
            raise KeyboardInterrupt
        turn()

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr(sys, "stdout", screen)
    assert run(["status", "--watch"]) == 0
    drawn = screen.getvalue()
    assert drawn.index("chat    running") < drawn.index("chat    stopped")


def test_starting_brings_up_all_containers_and_waits(lab: Services) -> None:
    stopped(lab.shell, "files", "files-db", "files-cache", "files-cron")
    answer = lab("start", "files")
    assert answer.code == 0, answer
    assert lab.shell.told == [["start", "--no-block", "--", *FILES]]
    assert "healthy: files-db" in answer.out
    assert answer.out.endswith("files started on aibox.\n")
    again = lab("start", "files")
    assert (again.code, again.out) == (0, "files runs already on aibox.\n")
    assert len(lab.shell.told) == 1


def test_starting_brings_up_only_the_container_that_is_down(lab: Services) -> None:
    stopped(lab.shell, "files-cron")
    assert lab("start", "files", "--json").document["workloads"][0]["outcome"] == "started"
    assert lab.shell.told == [["start", "--no-block", "--", "labctl-files-cron.service"]]


def test_one_that_does_not_come_up_is_told_with_its_last_lines(lab: Services) -> None:
    stopped(lab.shell, "chat")
    lab.shell.fails.add("labctl-chat.service")
    lab.shell.secrets["chat-env_KEY"] = "canary-7f3a9c"
    lab.shell.journal.append(("labctl-chat.service", "no such model, key canary-7f3a9c"))
    answer = lab("start", "chat", "--json")
    (chat,) = answer.document["workloads"]
    assert (answer.code, chat["outcome"], chat["said"]) == (1, "failed", ["chat: it failed (exit-code)"])
    assert chat["log"] == [f"no such model, key {MASK}"]
    text = lab("start", "chat")
    assert (text.code, "chat does not come up on aibox." in text.out) == (1, True)


def test_waiting_for_its_turn_uses_up_nothing_of_its_time(
    lab: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_self: ShellPrograms, _seconds: float) -> None:
        lab.shell.seconds += 1000

    monkeypatch.setattr(ShellPrograms, "sleep", sleep)
    stopped(lab.shell, "chat")
    lab.shell.turns["labctl-chat.service"] = 6
    answer = lab("start", "chat")
    assert (answer.code, "healthy: chat (" in answer.out) == (0, True), answer
    assert "wait: chat, until those before it are healthy or have loaded" in " ".join(answer.out.split())


def test_stopping_says_who_uses_it_and_does_so_once(lab: Services) -> None:
    answer = lab("stop", "chat")
    assert (answer.code, lab.shell.told) == (0, [["stop", "--no-block", "--", "labctl-chat.service"]])
    assert "chat stopped on aibox.\n  ui uses chat and cannot reach it until it runs again\n" in answer.out
    again = lab("stop", "chat")
    assert (again.code, "chat is stopped already on aibox." in again.out) == (0, True)
    assert len(lab.shell.told) == 1


def test_a_restart_is_one_command_and_waits_for_what_was_begun_anew(lab: Services) -> None:
    answer = lab("restart", "files", "--json")
    assert lab.shell.told == [["restart", "--no-block", "--", *FILES]]
    assert (answer.code, answer.document["workloads"][0]["outcome"]) == (0, "restarted")
    assert all(lab.shell.units[unit].invocation == "1+" for unit in FILES)


def test_a_job_is_begun_and_not_waited_for(lab: Services) -> None:
    answer = lab("start", "tune")
    assert answer.code == 0, answer
    assert "chat steps aside while tune runs, and comes back" in answer.out
    assert lab.shell.units["labctl-tune.service"].active == "activating"
    again = lab("start", "tune")
    assert "tune runs already" in again.out


def test_what_stepped_aside_is_not_started_over_the_job(lab: Services) -> None:
    lab.shell.units["labctl-tune.service"] = replace(JOB, active="activating", sub="start")
    stopped(lab.shell, "chat")
    answer = lab("start", "chat", "--json")
    assert (answer.code, lab.shell.told) == (3, [])
    assert answer.document["error"]["message"] == "chat stepped aside for tune, which runs"


def test_nothing_is_done_under_an_apply_or_to_a_name_that_nobody_knows(lab: Services) -> None:
    assert "expected chat" in Command(lab._capsys, "stop").refusal("chatt")
    lab.shell.running = "transaction 0123, process 7"
    assert lab("stop", "chat", "--json").document["error"]["found"] == "transaction 0123, process 7"
    assert lab.shell.told == []


def test_logs_prefix_companions_mask_secrets_and_leave_out_podmans_own_lines(lab: Services) -> None:
    lab.shell.secrets["files-db-password"] = "canary-7f3a9c"
    lab.shell.journal += [
        ("labctl-ui.service", "not asked for"),
        ("labctl-files.service", "first canary-7f3a9c"),
        ("labctl-files.service", "2026-11-21 12:00:00.1 +0000 UTC m=+0.1 container start 123"),
        ("labctl-files-db.service", "ready\nfor all"),
    ]
    answer = lab("logs", "files")
    assert [line[20:] for line in answer.out.splitlines()] == [f"first {MASK}", "db: ready", "db: for all"]
    assert [line[20:] for line in lab("logs", "files", "--lines", "1").out.splitlines()] == [
        "db: ready",
        "db: for all",
    ]
    assert lab("logs", "files", "-n", "0").out == ""


def test_following_goes_on_where_it_was_until_interrupted(
    lab: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.shell.journal.append(("labctl-chat.service", "before"))
    turns = iter((("labctl-chat.service", "one"), None, ("labctl-chat.service", "two"), KeyboardInterrupt))

    def sleep(_seconds: float) -> None:
        turn = next(turns)
        if turn is KeyboardInterrupt:
            raise KeyboardInterrupt
        lab.shell.journal += [turn] if isinstance(turn, tuple) else [("labctl-ui.service", "another's")]

    monkeypatch.setattr(logs_answer, "sleep", sleep)
    answer = lab("logs", "chat", "--follow")
    assert [line[20:] for line in answer.out.splitlines()] == ["before", "one", "two"]
    assert (answer.code, answer.err) == (0, "")
