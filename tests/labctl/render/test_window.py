"""What has a time of its own: how it begins, and what ends it."""

from tests.labctl.plan.plans import claims, plan, runs
from tests.labctl.render.cases import lines, rendered, texts


def test_a_job_runs_in_its_window_and_what_stepped_aside_comes_back() -> None:
    there = {
        "job": runs("axolotl", model="m", cards=claims(first=9), displaces=("chat",), when="23:30-05:00"),
        "chat": runs("ollama", cards=claims(first=9)),
    }
    made = rendered(plan(there))
    text = texts(made)["units/labctl-job.container"]
    assert lines(text, "Conflicts") == ["labctl-chat.service"]
    assert lines(text, "ExecStopPost") == ["/usr/bin/systemctl start --no-block labctl-chat.service"]
    assert (lines(text, "Type"), lines(text, "Restart"), lines(text, "TimeoutStartSec")) == (
        ["oneshot"],
        ["no"],
        ["330min"],
    )
    assert "WantedBy" not in text
    assert "systemd/labctl-job_start.service" not in made.files
    assert "OnCalendar=*-*-* 23:30:00" in texts(made)["systemd/labctl-job.timer"]
    # Nobody enables a unit: the one file that comes with the target brings the timer.
    network = texts(made)["units/labctl-job.network"]
    assert lines(network, "Wants") == ["labctl-job.timer"]
    assert lines(network, "WantedBy") == ["labctl.target"]
    starts = {each.unit: each.start for each in made.manifest.units}
    assert (starts["labctl-job.service"], starts["labctl-job.timer"]) == (False, True)


def test_nothing_brings_a_service_back_when_its_window_is_over() -> None:
    made = rendered(plan({"w": runs("ollama", cards=claims(first=9), when="01:00-07:00")}))
    text = texts(made)["units/labctl-w.container"]
    assert (lines(text, "RuntimeMaxSec"), lines(text, "Restart")) == (["360min"], ["no"])
    assert "RestartSec" not in text
    # What kills it for being ill leaves it failed, whatever its window.
    assert lines(text, "HealthOnFailure") == ["kill"]
    assert "WantedBy" not in text
