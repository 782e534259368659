"""What has a time of its own: how it begins, what ends it, and what is looked for before."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labctl.render import names
from tests.labctl.plan.plans import FIRST, claims, host, plan, runs
from tests.labctl.render.cases import SERVICES, lines, rendered, texts


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


def _training(**more: Any) -> dict[str, str]:
    job = runs("axolotl", model="m", cards=claims(first=9), when="23:30-05:00", **more)
    return texts(rendered(plan({"job": job}, host(FIRST))))


def test_a_training_leaves_its_results_in_its_volume() -> None:
    found = _training()
    (kept,) = [each for each in SERVICES["axolotl"].first.volumes if each.keeps == "state"]
    (command,) = lines(found["units/labctl-job.container"], "Exec")
    assert f" --output-dir={kept.at}/" in command
    # The file that a person is asked for is the one that it is started with.
    (needed,) = SERVICES["axolotl"].needs_files
    assert (needed.volume, f"{kept.at}/{needed.path}") == (kept.name, command.split()[2])


def _look(text: str, unit: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run what the unit does, with a Podman whose volume is `folder` and a systemd that only tells."""
    (programs := folder.parent / "programs").mkdir(exist_ok=True)
    for name, says in (("podman", f'[ "$5" = job-runs ] && echo {folder}'), ("systemctl", 'echo "told $*"')):
        (programs / name).write_text(f"#!/bin/sh\n{says}\n")
        (programs / name).chmod(0o755)
    commands = [
        each.replace("$$", "$").replace("/usr/bin/systemctl", "systemctl")
        for each in lines(text, "ExecStart")
    ]
    assert commands[-1] == f"systemctl start --no-block {unit}"
    path = f"{programs}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-ec", "\n".join(commands)], env={"PATH": path}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("own_folder", [False, True])
def test_a_training_is_begun_when_its_configuration_is_there(own_folder: bool, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    found = _training(displaces=("chat",), data=str(tmp_path) if own_folder else None)
    assert lines(found["systemd/labctl-job.timer"], "Unit") == [names.look("job")]
    look = found[f"systemd/{names.look('job')}"]
    # It would stop what stands in a job's Conflicts before it looked.
    assert lines(look, "Conflicts") == []
    without = _look(look, "labctl-job.service", folder)
    assert (without.returncode, without.stdout) == (1, "")
    assert f"{folder}/config.yaml is not there" in without.stderr
    (folder / "config.yaml").touch()
    done = _look(look, "labctl-job.service", folder)
    assert (done.returncode, done.stdout) == (0, "told start --no-block labctl-job.service\n")


def test_what_needs_no_file_is_begun_at_once() -> None:
    made = rendered(plan({"w": runs("ollama", cards=claims(first=9), when="01:00-07:00")}))
    assert lines(texts(made)["systemd/labctl-w.timer"], "Unit") == ["labctl-w.service"]
    by_hand = rendered(plan({"w": runs("axolotl", model="m", cards=claims(first=9))}))
    for each in (made, by_hand):
        assert f"systemd/{names.look('w')}" not in each.files
