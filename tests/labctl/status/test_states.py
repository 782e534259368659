"""What systemd and Podman say of a unit, in words; and what makes of several units one workload."""

from dataclasses import replace

import pytest

from labctl.status.question import Asked, UnitNow, parse, script
from labctl.status.states import State
from labctl.status.tokens import tokens_per_second
from labctl.status.words import seconds_words
from tests.labctl.status.services_in_force import AT, JOB, RUNS, STOPPED, home, status

_LOADED = "loaded"


def state_of(name: str, **units: UnitNow) -> tuple[State, str | None, str]:
    found = next(
        each
        for each in status(home(), {key.replace("_", "-"): unit for key, unit in units.items()}).workloads
        if each.name == name
    )
    return found.now.state, found.now.health, found.now.detail


@pytest.mark.parametrize(
    ("unit", "state", "detail"),
    [
        (RUNS, "running", ""),
        (UnitNow("not-found"), "not there", "systemd: not-found"),
        (UnitNow("bad-setting"), "not there", "systemd: bad-setting"),
        (UnitNow(_LOADED, "activating", "start", kind="notify"), "starting", ""),
        (
            UnitNow(_LOADED, "activating", "start", kind="notify", restarts=2),
            "starting",
            "again, for the 2. time",
        ),
        (UnitNow(_LOADED, "inactive", queued=True, kind="notify"), "starting", "waits for its turn"),
        (
            UnitNow(_LOADED, "activating", "auto-restart", "exit-code", 4, kind="notify"),
            "failed",
            "exit-code, tried again 4 times",
        ),
        (
            UnitNow(_LOADED, "activating", "auto-restart-queued", "oom-kill", 1, kind="notify"),
            "failed",
            "oom-kill, tried again once",
        ),
        (UnitNow(_LOADED, "failed", "failed", "timeout", kind="notify"), "failed", "timeout"),
        (UnitNow(_LOADED, "deactivating", "stop", kind="notify"), "stopped", "still stopping"),
        (STOPPED, "stopped", ""),
        (replace(RUNS, active="reloading"), "running", ""),
    ],
)
def test_one_unit(unit: UnitNow, state: State, detail: str) -> None:
    found = state_of("chat", chat=unit)
    assert (found[0], found[2]) == (state, detail)


def test_a_job_waits_for_its_time_and_runs_while_it_starts() -> None:
    assert state_of("tune")[0::2] == ("waits", "for 23:30")
    at_work = replace(JOB, active="activating", sub="start", queued=True)
    assert state_of("tune", tune=at_work)[0] == "running"
    assert state_of("tune", tune=replace(JOB, active="failed", result="exit-code"))[0] == "failed"


_NIGHT = 6 * 3600
_OVER = UnitNow(
    _LOADED, "failed", "failed", "timeout", kind="notify", changed_at=AT - 60, active_since=AT - 70 - _NIGHT
)


def at_night(unit: UnitNow) -> tuple[State, str, bool]:
    there = replace(home().workloads["images"], when="01:00-07:00")
    plan = replace(home(), workloads={**home().workloads, "images": there})
    found = next(each for each in status(plan, {"images": unit}).workloads if each.name == "images")
    return found.now.state, found.now.detail, found.now.as_planned


def test_a_service_whose_window_is_over_waits_for_the_next() -> None:
    assert at_night(STOPPED) == ("waits", "for 01:00", True)
    assert at_night(_OVER) == ("waits", "for 01:00", True)
    # Without a window nothing may end it.
    assert state_of("images", images=_OVER)[0::2] == ("failed", "timeout")


@pytest.mark.parametrize(
    "unit",
    [
        replace(_OVER, result="exit-code"),
        replace(_OVER, result="oom-kill"),
        # A start that hung: never up, or up yesterday; and one that did not stop when it was told to.
        replace(_OVER, active_since=None),
        replace(_OVER, active_since=AT - 24 * 3600),
        replace(_OVER, active_since=AT - 3600),
    ],
)
def test_what_fails_in_its_window_is_failed(unit: UnitNow) -> None:
    assert at_night(unit) == ("failed", unit.result, False)


def test_a_job_that_its_window_cut_off_is_not_done() -> None:
    cut_off = replace(JOB, active="failed", result="timeout")
    assert state_of("tune", tune=cut_off)[0::2] == ("failed", "its window ended before it was done")


def test_a_job_that_lacked_a_file_at_its_time_has_not_run() -> None:
    look = UnitNow(_LOADED, "failed", "failed", "exit-code", kind="oneshot", changed_at=AT - 5)

    def found(look: UnitNow, job: UnitNow = JOB) -> tuple[State, str]:
        units = {"tune_look": look, "tune": job}
        (job_now,) = [each.now for each in status(home(), units).workloads if each.name == "tune"]
        return job_now.state, job_now.detail

    lacks = ("failed", "a file that it needs was not there at its time")
    assert found(look) == lacks
    assert found(look, replace(JOB, changed_at=None)) == lacks
    # It was brought, and the job started by hand.
    assert found(look, replace(JOB, changed_at=AT - 4))[0] == "waits"
    assert found(replace(look, active="inactive"))[0] == "waits"


def test_what_a_job_displaces_stepped_aside_only_while_that_runs() -> None:
    at_work = replace(JOB, active="activating", sub="start")
    assert state_of("chat", chat=STOPPED, tune=at_work)[0::2] == ("aside", "for tune, and comes back")
    assert state_of("chat", chat=STOPPED)[0] == "stopped"
    there = status(home(), {"chat": STOPPED, "tune": at_work}, held={1: {"labctl-images.service": 6000}})
    assert there.as_planned
    assert state_of("chat", tune=at_work)[0] == "running"


def test_a_workload_is_no_better_than_the_worst_of_its_containers() -> None:
    db = {"files_db": UnitNow(_LOADED, "failed", "failed", "exit-code", kind="notify")}
    assert state_of("files", **db)[0::2] == ("failed", "files-db: exit-code")
    assert state_of("files", files_cron=STOPPED)[0::2] == ("stopped", "files-cron")


def test_health_is_the_containers() -> None:
    ill = {"labctl-files-db": {"State": {"Health": {"Status": "unhealthy"}}}}
    found = next(each for each in status(home(), containers=ill).workloads if each.name == "files")
    assert (found.now.state, found.now.health, found.now.detail) == (
        "running",
        "unhealthy",
        "files-db is unhealthy",
    )
    assert not found.now.as_planned
    # Nobody knows how to ask it: what runs is as planned.
    images = next(each for each in status(home()).workloads if each.name == "images")
    assert (images.now.health, images.now.as_planned) == (None, True)


def test_since_when() -> None:
    found = {each.name: each.seconds for each in status(home(), {"chat": STOPPED}).workloads}
    assert (found["chat"], found["ui"]) == (10, 60)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (7500, "2 h 5 min"), (200_000, "2 days")],
)
def test_times(seconds: int, words: str) -> None:
    assert seconds_words(seconds) == words


@pytest.mark.parametrize(
    ("metrics", "speed"),
    [
        ("# HELP x\nllamacpp:tokens_predicted_total 120\nllamacpp:tokens_predicted_seconds_total 3\n", 40.0),
        ("llamacpp:tokens_predicted_total 0\nllamacpp:tokens_predicted_seconds_total 0\n", None),
        (
            (
                'vllm:inter_token_latency_seconds_sum{engine="0",model_name="m"} 2.5\n'
                'vllm:inter_token_latency_seconds_count{engine="0",model_name="m"} 100.0\n'
            ),
            40.0,
        ),
        (
            (
                'vllm:time_per_output_token_seconds_sum{model_name="m"} 1e-1\n'
                'vllm:time_per_output_token_seconds_count{model_name="m"} 3\n'
            ),
            30.0,
        ),
        ("", None),
        ("<html>not metrics</html>", None),
    ],
)
def test_speed_by_an_engines_metrics(metrics: str, speed: float | None) -> None:
    assert tokens_per_second(metrics) == (None if speed is None else pytest.approx(speed))


ANSWER = """
@@labctl now
1800000000

@@labctl unit-states
Id=labctl-chat.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success
NRestarts=1
Job=
Type=notify
StateChangeTimestamp=@1799999000
ActiveEnterTimestamp=@1799999990
InvocationID=abc

Id=labctl-gone.service
LoadState=not-found
ActiveState=inactive
SubState=dead
Result=success
NRestarts=0
Job=
Type=
StateChangeTimestamp=
ActiveEnterTimestamp=
InvocationID=

@@labctl inspected
[{"Name": "labctl-chat", "State": {"Health": {"Status": "starting"}}}]

@@labctl metrics-chat
llamacpp:tokens_predicted_total 10
llamacpp:tokens_predicted_seconds_total 1

@@labctl answered
"""


def test_what_a_host_prints_is_read() -> None:
    asked = Asked(("labctl-chat.service",), ("labctl-chat",), {"chat": ("labctl-chat.service", 20001)})
    assert "http://127.0.0.1:20001/metrics" in script(asked)
    found = parse(ANSWER)
    assert found.units["labctl-chat.service"] == UnitNow(
        "loaded", "active", "running", "success", 1, False, "notify", 1799999000, 1799999990, "abc"
    )
    assert (found.units["labctl-gone.service"].load, found.units["labctl-gone.service"].changed_at) == (
        "not-found",
        None,
    )
    assert (found.health("labctl-chat"), found.health("labctl-gone"), found.health(None)) == (
        "starting",
        None,
        None,
    )
    assert found.tokens_per_second == {"chat": 10.0}
