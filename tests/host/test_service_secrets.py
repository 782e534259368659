"""Secrets of services on a real host: Podman keeps them, a unit takes them, and nobody else gets to see them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.edges.held_shell import HeldShell
from labctl.edges.host_secrets import HostSecrets
from labctl.edges.shell_streams import ProcessStreams
from labctl.plan.plan_json import dump
from labctl.render.render import NeededSecret
from tests.host.canaries import Recording, canary, files_with, journal_lines_with, leaked, recorded
from tests.host.converged import IMAGE, converged_layer
from tests.host.deploying import Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost
from tests.labctl.plan.plans import claims, host, plan, runs

pytestmark = pytest.mark.host

_NAME = "secretive"
_PLAN = plan(
    {
        "ui": runs("open-webui", host=_NAME),
        "pictures": runs("comfyui", host=_NAME, cards=claims(first=8000)),
        "thing": runs("container", host=_NAME, image=IMAGE, secrets=("env.API_KEY",)),
    },
    host("GPU-aaaaaaaa-0000-4000-8000-000000000000", name=_NAME),
)
_KEY, _ADMIN, _TOKEN, _WRITTEN = (
    "ui-secret-key",
    "ui-admin-password",
    "pictures-hf-token",
    "thing-env_API_KEY",
)
_NEEDED = (
    NeededSecret(_KEY, "ui", "random", 48),
    NeededSecret(_ADMIN, "ui", "random", 24),
    NeededSecret(_WRITTEN, "thing", "written", variable="API_KEY"),
)
_UNIT = f"""[Container]
ContainerName=labctl-ui
Image={IMAGE}
Network=none
Volume=/usr:/usr:ro
Secret={_KEY},type=env,target=WEBUI_SECRET_KEY
Secret={_ADMIN},target=/run/secrets/admin-password,mode=0400
Exec=/usr/bin/sleep infinity
StopTimeout=1
"""
_STORE = "/var/lib/containers/storage/secrets/filedriver/secretsdata.json"
# What a container was started with lies there for root alone, for as long as it runs.
_OF_WHAT_RUNS = ("/run/crun/", "/var/lib/containers/storage/overlay-containers/")


@dataclass
class Box:
    """A host with a unit that takes two secrets, after everything was done to them. runs: by what was asked."""

    host: ThrowawayHost
    folder: Path
    passphrase: str = field(default_factory=canary)
    token: str = field(default_factory=canary)
    written: list[str] = field(default_factory=lambda: [canary(), canary()])
    made: list[tuple[str, ...]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)

    def make(self, value: str) -> None:
        """As an apply does."""
        shell = HeldShell(self.host.name, self._start, sudo=True, password=lambda: None)
        self.made.append(HostSecrets(self.host.name, shell).make(_NEEDED, {_WRITTEN: value}))
        shell.close()
        self.states.append(self.state())

    def state(self) -> dict[str, Any]:
        """All of Podman's, with their values, by name."""
        shown = self.host.console_run(
            "podman secret inspect --showsecret $(podman secret ls -q)", check=False
        )
        return {each["Spec"]["Name"]: each for each in json.loads(shown.stdout or "[]")}

    def values(self) -> dict[str, str]:
        """Those that the host has, by name."""
        return {name: str(each["SecretData"]) for name, each in self.state().items()}

    def secrets(self, *words: str, given: str = "") -> Run:
        """labctl secrets WORDS."""
        inventory = ("--inventory", str(self.folder / "home.py"))
        run = self.runs[" ".join(words)] = labctl("secrets", *words, *inventory, given=given)
        return run

    def seen_by_the_service(self) -> str:
        """The key in the environment of what runs."""
        pid = self.host.console_run("podman inspect --format '{{.State.Pid}}' labctl-ui").stdout.strip()
        environment = self.host.console_run(f"tr '\\0' '\\n' </proc/{pid}/environ").stdout.splitlines()
        return next(each.partition("=")[2] for each in environment if each.startswith("WEBUI_SECRET_KEY="))

    def listed(self) -> dict[str, dict[str, Any]]:
        """What `labctl secrets --json` says, by name."""
        rows = self.secrets("--json").document["hosts"][self.host.name]["secrets"]
        return {str(row["name"]): dict(row) for row in rows}

    def _start(self, program: str) -> ProcessStreams:
        return ProcessStreams(shlex.join(self.host.ssh.argv(program)))


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """After three applies of secrets, a token, and the start of the unit that takes two of them."""
    booted = throwaway_hosts.boot(_NAME, layer=converged_layer(throwaway_hosts))
    box = Box(booted, tmp_path_factory.mktemp("secrets"))
    write_inventory(box.folder / "home.py", booted)
    (box.folder / "passphrase").write_text(f"{box.passphrase}\n")
    quoted = shlex.quote(dump(_PLAN))
    booted.console_run(
        "mkdir -p /var/lib/labctl/generations/current /etc/containers/systemd/labctl; umask 077; "
        f"printf %s {quoted} >/var/lib/labctl/generations/current/plan.json; "
        f"printf %s {shlex.quote(_UNIT)} >/etc/containers/systemd/labctl/labctl-ui.container"
    )
    with recorded(booted):
        for value in (box.written[0], box.written[0], box.written[1]):
            box.make(value)
        box.secrets("set", _TOKEN, given=f"{box.token}\n")
        booted.console_run("systemctl daemon-reload; systemctl start labctl-ui")
        file = str(box.folder / "home.age")
        box.secrets("export", file, "--passphrase-file", str(box.folder / "passphrase"))
        box.secrets("show", _ADMIN)
        box.secrets()
    yield box
    throwaway_hosts.destroy(booted)


def test_random_ones_are_made_once_and_written_ones_when_they_are_others(box: Box) -> None:
    assert box.made == [(_KEY, _ADMIN, _WRITTEN), (), (_WRITTEN,)]
    first, second, third = box.states
    assert first == second
    assert {name for name in first if first[name] != third[name]} == {_WRITTEN}
    assert [each[_WRITTEN]["SecretData"] for each in (first, third)] == box.written
    assert (len(first[_KEY]["SecretData"]), len(first[_ADMIN]["SecretData"])) == (48, 24)
    assert first[_KEY]["Spec"]["Labels"] == {"labctl.workload": "ui", "labctl.made": "random"}


def test_nobody_sees_a_value_who_did_not_ask_for_it(box: Box) -> None:
    hidden = [*box.written, *box.values().values(), box.passphrase]
    assert box.token in hidden
    recording = Recording(box.host, hidden)
    assert recording.started == []
    assert recording.written_to - {"pipe", "socket", "UNIX", "TCP"} == {_STORE}
    assert journal_lines_with(box.host, hidden) == []
    assert leaked(box.host.console_run("podman inspect labctl-ui").stdout, hidden) == []
    files = files_with(box.host, hidden)
    assert [each for each in files if not each.startswith(_OF_WHAT_RUNS)] == [_STORE]
    assert leaked(box.host.run(f"cat {shlex.join(sorted(files))}", check=False).stdout, hidden) == []
    for asked, run in box.runs.items():
        assert run.exit_code == 0, (asked, run.stderr)
        shown = run.stderr if asked.startswith("show") else run.stdout + run.stderr
        assert leaked(shown, hidden) == [], asked
    assert box.runs[f"show {_ADMIN}"].stdout == box.values()[_ADMIN]


def test_the_service_takes_a_new_value_with_its_next_start(box: Box) -> None:
    before = box.values()
    assert box.seen_by_the_service() == before[_KEY]
    row = box.listed()[_KEY]
    assert (row["units"], row["units_with_the_old_value"]) == (["labctl-ui.service"], [])
    box.host.console_run("sleep 1")  # systemd tells starts by the second
    rotated = box.secrets("rotate", _KEY)
    assert (rotated.exit_code, rotated.stdout.splitlines()[-1]) == (
        0,
        "It takes effect with: labctl restart ui",
    )
    new = box.values()
    assert {name for name in before if before[name] != new[name]} == {_KEY}
    assert box.seen_by_the_service() == before[_KEY]
    assert box.listed()[_KEY]["units_with_the_old_value"] == ["labctl-ui.service"]
    box.host.console_run("sleep 1; systemctl restart labctl-ui")
    assert box.seen_by_the_service() == new[_KEY]
    assert box.listed()[_KEY]["units_with_the_old_value"] == []
    refused = box.secrets("rotate", _ADMIN)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert box.values() == new


def test_an_export_puts_everything_back(box: Box) -> None:
    file = box.folder / "home.age"
    there = box.values()
    how = [str(file), "--replace", "--passphrase-file", str(box.folder / "passphrase")]
    assert box.secrets("export", *how).exit_code == 0
    assert leaked(file.read_text(), there.values()) == []
    labels = {name: each["Spec"]["Labels"] for name, each in box.state().items()}
    box.host.console_run("podman secret rm --all")
    assert box.secrets("import", *how).exit_code == 0
    assert box.values() == there
    assert {name: each["Spec"]["Labels"] for name, each in box.state().items()} == labels
