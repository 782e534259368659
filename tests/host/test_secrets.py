"""Secrets of the inventory: where they belong, and nowhere else, whatever is printed and whoever looks on."""

from __future__ import annotations

import os
import pprint
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from roles.podman.deploy import LOGINS
from tests.host.canaries import (
    Recording,
    arguments_with,
    auths,
    canary,
    files_with,
    journal_lines_with,
    leaked,
    recorded,
    registry_auth,
)
from tests.host.converged import converged_layer
from tests.host.deploying import CHECKOUT, Run
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_USER = "keeper"  # has to give a password to sudo
_INVENTORY = """
from labctl.secret import Secret

_host = {data}
_host |= {{
    "ssh_user": {user!r},
    "_sudo_password": Secret.env("LABCTL_TEST_SUDO"),
    "podman": {{"logins": [
        {{"registry": "one.example", "username": "first", "password": Secret.env("LABCTL_TEST_ENV")}},
        {{"registry": "two.example", "username": "second", "password": Secret.file({file!r})}},
    ]}},
    "x_token": Secret.env("LABCTL_TEST_TOKEN"),
    "x_deep": {{"er": [Secret.file({file!r})]}},
}}
hosts = [({name!r}, _host)]
"""


@dataclass
class Household:
    """A host, an inventory with secrets, and what they are."""

    host: ThrowawayHost
    folder: Path
    sudo: str = field(default_factory=canary)
    env: str = field(default_factory=canary)
    file: str = field(default_factory=canary)
    token: str = field(default_factory=canary)
    printed: dict[str, Run] = field(default_factory=dict)
    seen_in_process_lists: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.host.console_run(
            f"useradd -m -s /bin/bash -G sudo {_USER}; echo '{_USER}:{self.sudo}' | chpasswd; "
            f"cp -r /home/{self.host.user}/.ssh /home/{_USER}/; chown -R {_USER}: /home/{_USER}/.ssh"
        )
        file = self.folder / "password"
        file.write_text(self.file + "\n")
        self.inventory.write_text(
            _INVENTORY.format(
                data=pprint.pformat(self.host.pyinfra_data()), user=_USER, file=str(file), name=self.host.name
            )
        )
        (self.folder / "group_data").mkdir()
        (self.folder / "group_data" / "all.py").write_text(
            'from labctl.secret import Secret\nx_of_all = Secret.env("LABCTL_TEST_TOKEN")\n'
        )

    @property
    def inventory(self) -> Path:
        return self.folder / "home.py"

    @property
    def auth(self) -> dict[str, str]:
        """What Podman's file should hold."""
        first, second = registry_auth("first", self.env), registry_auth("second", self.file)
        return {"one.example": first, "two.example": second}

    @property
    def hidden(self) -> list[str]:
        return [self.sudo, self.env, self.file, self.token, *self.auth.values()]

    def run(self, program: str, *arguments: str) -> Run:
        """Run labctl or pyinfra with the secrets in its environment, and watch the process list meanwhile."""
        command = {
            "labctl": [sys.executable, "-m", "labctl"],
            "pyinfra": [str(Path(sys.executable).with_name("pyinfra"))],
        }[program]
        secrets = {
            "LABCTL_TEST_SUDO": self.sudo,
            "LABCTL_TEST_ENV": self.env,
            "LABCTL_TEST_TOKEN": self.token,
        }
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env={**os.environ, **secrets},
        )
        out = err = ""
        while process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                out, err = process.communicate(timeout=0.1)
            self.seen_in_process_lists += arguments_with(self.hidden)
        run = Run(process.returncode, out, err)
        self.printed[" ".join([program, *arguments])] = run
        return run

    def forget_logins(self) -> None:
        """Let the next deploy write the file again."""
        self.host.console_run(f"rm -f {LOGINS}")

    def logins(self) -> str:
        """Podman's file."""
        return self.host.console_run(f"cat {LOGINS}").stdout


# Each of pyinfra's levels of verbosity prints what the one below it does, and more.
_LABCTL = [
    ("deploy", "-v"),
    ("deploy", "-vvv"),
    ("deploy", "--json", "-vv"),
    ("check", "-vvv"),
    ("check", "--json"),
    ("verify", "-vvv"),
]
_DEPLOY = "deploy/gpu_host.py"
_PYINFRA = [
    (_DEPLOY, "-y", "-v", "--diff"),
    (_DEPLOY, "-y", "-vvv", "--diff", "--debug"),
    (_DEPLOY, "-y", "-vv", "--json"),
    (_DEPLOY, "--dry", "-vvv", "--diff"),
    (_DEPLOY, "--dry", "--json"),
    (_DEPLOY, "--debug-operations"),
    (_DEPLOY, "--debug-operations", "--json"),
    (_DEPLOY, "--debug-facts"),
    ("debug-inventory",),
    ("debug-inventory", "--json"),
]


@pytest.fixture(scope="module")
def household(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Household]:
    """After every command in every output mode."""
    host = throwaway_hosts.boot("keeper", layer=converged_layer(throwaway_hosts))
    household = Household(host, tmp_path_factory.mktemp("secrets"))
    inventory = str(household.inventory)
    with recorded(host):
        for command, *modes in _LABCTL:
            if command == "deploy":
                household.forget_logins()
            run = household.run("labctl", command, inventory, "--only", "podman", *modes)
            assert run.exit_code == 0, run.stdout + run.stderr
        for arguments in _PYINFRA:
            household.forget_logins()
            more = ("--data", "only=podman") if _DEPLOY in arguments else ()
            run = household.run("pyinfra", inventory, *arguments, *more)
            assert run.exit_code == 0, run.stdout + run.stderr
            if "-y" in arguments:
                assert auths(household.logins()) == household.auth
        assert household.run("labctl", "deploy", inventory, "--only", "podman").exit_code == 0
    yield household
    throwaway_hosts.destroy(host)


def test_no_output_shows_a_secret(household: Household) -> None:
    shown = {
        command: leaked(run.stdout + "\n" + run.stderr, household.hidden)
        for command, run in household.printed.items()
    }
    assert {command: lines for command, lines in shown.items() if lines} == {}
    inventories = [
        run.stdout + run.stderr for command, run in household.printed.items() if "debug-inventory" in command
    ]
    assert all(text.count("MASKED") >= 4 for text in inventories), inventories


def test_podman_uses_the_logins_and_nobody_else_reads_them(household: Household) -> None:
    host = household.host
    assert auths(household.logins()) == household.auth
    assert host.console_run(f"stat -c '%a %U:%G' {LOGINS}").stdout.split() == ["600", "root:root"]
    for registry, user in (("one.example", "first"), ("two.example", "second")):
        assert host.run(f"podman login --get-login {registry}", sudo=True).stdout.strip() == user
        # As a Quadlet unit would be: by systemd, without root's environment.
        by_systemd = f"systemd-run --quiet --wait --pipe podman login --get-login {registry}"
        assert host.console_run(by_systemd).stdout.strip() == user


def test_no_other_file_of_the_host_holds_a_secret(household: Household) -> None:
    assert files_with(household.host, household.hidden) == {LOGINS}
    assert household.host.console_run("ls -A /tmp /var/tmp | grep pyinfra", check=False).stdout == ""


def test_no_process_of_the_host_was_given_a_secret_and_none_was_written_aside(household: Household) -> None:
    recording = Recording(household.host, household.hidden)
    assert recording.started == []
    # sshd and sudo hand it on through sockets and pipes; the file is staged beside its place, for root alone.
    assert recording.written_to - {"pipe", "socket", "UNIX", "TCP"} == {f"{LOGINS}.labctl-new"}


def test_no_process_list_and_no_journal_shows_a_secret(household: Household) -> None:
    assert household.seen_in_process_lists == []
    assert journal_lines_with(household.host, household.hidden) == []


def test_a_login_by_password_opens_the_same_secret(household: Household) -> None:
    by_password = household.folder / "by_password.py"
    text = household.inventory.read_text().replace('"_sudo_password"', '"ssh_password"')
    by_password.write_text(
        text.replace("_host |=", 'del _host["ssh_key"]\n_host |=')
        + 'hosts[0][1]["_sudo_password"] = Secret.env("LABCTL_TEST_SUDO")\n'
    )
    run = household.run("labctl", "check", str(by_password), "--only", "podman", "-vvv")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert leaked(run.stdout + "\n" + run.stderr, household.hidden) == []


def test_a_password_in_plain_sight_is_refused_without_repeating_it(household: Household) -> None:
    text = household.inventory.read_text()
    plain = household.folder / "plain.py"
    plain.write_text(text.replace('Secret.env("LABCTL_TEST_ENV")', repr(household.env)))
    before = household.logins()
    for arguments in (("deploy", "--json"), ("check", "-vv")):
        run = household.run("labctl", arguments[0], str(plain), *arguments[1:])
        assert run.exit_code == 2, run.stdout + run.stderr
        assert "podman.logins.0.password" in run.stdout + run.stderr
        assert leaked(run.stdout + "\n" + run.stderr, household.hidden) == []
    run = household.run("pyinfra", str(plain), _DEPLOY, "-y", "-vvv")
    assert run.exit_code != 0
    assert "podman.logins.0.password" in run.stdout + run.stderr
    assert leaked(run.stdout + "\n" + run.stderr, household.hidden) == []
    assert household.logins() == before


def test_the_file_goes_with_the_setting(household: Household) -> None:
    text = household.inventory.read_text()
    gone = household.folder / "gone.py"
    gone.write_text(text.replace('"podman":', '"x_podman":'))
    run = household.run("labctl", "deploy", str(gone), "--only", "podman", "--json")
    assert run.changed(household.host.name) >= {"podman: registry logins", "podman: configuration"}
    assert files_with(household.host, household.hidden) == set()
    refused = household.host.run("podman login --get-login one.example", sudo=True, check=False)
    assert refused.returncode != 0
