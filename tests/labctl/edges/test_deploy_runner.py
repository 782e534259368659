"""What the driver is told, and by which way."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from labctl.edges import events
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.deploy_runner import run

_CANARY = "canary-0b7e"


def test_a_request_is_the_same_after_its_journey() -> None:
    request = DeployRequest("check", "i.py", ("base",), ("podman",), ("a", "b"), (("k", "v"),), 2)
    assert DeployRequest.from_json(request.to_json()) == request


def test_the_drivers_command_line_says_nothing_of_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    popen = subprocess.Popen

    def remembered(command: list[str], **how: Any) -> Any:
        started.append((command, how["env"]))
        return popen(command, **how)

    monkeypatch.setattr(subprocess, "Popen", remembered)
    inventory = tmp_path / "none.py"
    reported = list(run(DeployRequest("deploy", str(inventory), data=(("x_token", _CANARY),))))
    # That the driver knows which inventory to look for shows that the request arrived.
    assert isinstance(reported[0], events.Refused)
    assert reported[0].where == str(inventory)
    assert reported[-1] == events.Ended(2)
    assert len(started) == 1
    assert _CANARY not in repr(started)
