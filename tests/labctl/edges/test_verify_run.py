"""A verification from the inventory to the exit code, on this machine and on one that nobody answers for."""

import os
from pathlib import Path

import pytest

from labctl.edges import events
from labctl.edges.events import (
    Ended,
    Event,
    Explained,
    HostConnected,
    HostFailed,
    HostPlanned,
    HostVerified,
    Refused,
    Started,
    Verified,
)
from labctl.edges.exit_codes import combined
from tests.labctl.edges.verifying_projects import Project, verify_all

VERIFIED = HostVerified("@local", passed=1, failed=0, not_run_here=1, remote_commands=2)
CANARY = "canary-91fe"

ROLE = """
from pydantic import BaseModel, ConfigDict
from labctl.edges.pyinfra_roles import role
from labctl.secret import Secret

class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    size: int = 1
    password: Secret | None = None

@role("mine", Settings)
def mine(settings, facts):
    raise AssertionError("verify asks for no resources")
"""
CHECKS = '''
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import not_run_here

@explained(Explanation("It grew.", "Cut it.", says="is 2, not 1"), Explanation("It is odd.", "Look at it."))
def test_size(settings, host):
    """size"""
    assert settings.size == int(host.check_output("echo 1")), f"the size is {settings.size}, not 1 ({settings})"

def test_clock(facts):
    """clock"""
    not_run_here("no clock")
'''


NOBODY = '("gone", {"ssh_hostname": "127.0.0.1", "ssh_port": 1, "ssh_user": "nobody"})'

INVENTORIES = {
    "one host": 'hosts = ["@local"]',
    "failing": """
from labctl.secret import Secret
password = Secret.env("CANARY")
hosts = [("@local", {"mine": {"size": 2, "password": password}, "_sudo_password": password})]
""",
    "doctor": 'hosts = [("@local", {"mine": {"size": 2}})]',
    "one of two gone": f'hosts = [{NOBODY}, "@local"]',
    "limited": f'hosts = [{NOBODY}, "@local"]',
    "unknown setting": 'hosts = [("@local", {"mine": {"sise": 2}})]',
    "wrong type": 'hosts = [("@local", {"mine": {"size": "big"}})]',
    "no inventory": "hosts = [",
    "no checks": 'hosts = ["@local"]',
    "no role": 'hosts = ["@local"]',
    "early end": 'hosts = ["@local"]',
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Event]]:
    """Each inventory's verification, as events."""
    # Who runs the tests is root by this sudo; whether anything needs root is not what is tested.
    sudo = tmp_path_factory.mktemp("bin") / "sudo"
    sudo.write_text('#!/bin/sh\nwhile [ "$1" != -p ]; do shift; done; shift 2\nexec "$@"\n')
    sudo.chmod(0o755)
    projects = {name: Project(tmp_path_factory.mktemp("project")) for name in INVENTORIES}
    for name, project in projects.items():
        _write(project.folder, INVENTORIES[name])
    projects["doctor"] = Project(projects["doctor"].folder, mode="doctor")
    projects["limited"] = Project(projects["limited"].folder, limit=("@loc*",))
    (projects["no checks"].folder / "roles_of_test/mine/checks.py").unlink()
    (projects["no role"].folder / "deploy/box.py").write_text("")
    (projects["early end"].folder / "roles_of_test/mine/checks.py").write_text(
        "import os\n\ndef test_end(): os._exit(0)\n"
    )
    path = f"{sudo.parent}:{os.environ['PATH']}"
    return dict(zip(projects, verify_all(*projects.values(), PATH=path, CANARY=CANARY), strict=True))


def _write(folder: Path, inventory: str) -> None:
    files = {
        "roles_of_test/__init__.py": "",
        "roles_of_test/mine/__init__.py": "",
        "roles_of_test/mine/deploy.py": ROLE,
        "roles_of_test/mine/checks.py": CHECKS,
        "deploy/box.py": "from roles_of_test.mine.deploy import mine\n\nmine()\n",
        "inventory.py": inventory,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_host_is_verified(runs: dict[str, list[Event]]) -> None:
    assert runs["one host"] == [
        Started("verify", ("@local",)),
        HostConnected("@local"),
        HostPlanned("@local", ("mine",), 2),
        Verified("@local", "mine", "size", "passed"),
        Verified("@local", "mine", "clock", "not run here", "no clock"),
        VERIFIED,
        Ended(0),
    ]


def test_a_failed_check_is_a_no(runs: dict[str, list[Event]]) -> None:
    seen = runs["failing"]
    failed = next(event for event in seen if isinstance(event, Verified) and event.status == "failed")
    assert failed.reason is not None
    assert failed.reason.startswith("the size is 2, not 1")
    assert "*MASKED*" in failed.reason
    assert seen[-3:] == [
        Verified("@local", "mine", "clock", "not run here", "no clock"),
        HostVerified("@local", passed=0, failed=1, not_run_here=1, remote_commands=2),
        Ended(3),
    ]


def test_doctor_explains_what_failed_and_ends_as_verify_does(runs: dict[str, list[Event]]) -> None:
    assert runs["doctor"][0] == Started("doctor", ("@local",))
    assert runs["doctor"][-4:] == [
        Verified("@local", "mine", "clock", "not run here", "no clock"),
        Explained("@local", "mine", "size", "It grew.", "Cut it."),
        HostVerified("@local", passed=0, failed=1, not_run_here=1, remote_commands=2),
        Ended(3),
    ]


def test_no_secret_is_reported(runs: dict[str, list[Event]]) -> None:
    assert CANARY not in "".join(events.to_json(event) for seen in runs.values() for event in seen)


def test_one_host_out_of_reach_keeps_no_other_from_its_checks(runs: dict[str, list[Event]]) -> None:
    seen = runs["one of two gone"]
    failure = next(event for event in seen if isinstance(event, HostFailed))
    assert (failure.host, failure.stage, failure.exit_code) == ("gone", "connect", 1)
    assert "nothing answers on the SSH port" in failure.message
    assert sorted(type(event).__name__ for event in seen[1:-1]) == sorted(
        ["HostFailed", "HostConnected", "HostPlanned", "Verified", "Verified", "HostVerified"]
    )
    assert VERIFIED in seen
    assert seen[-1] == Ended(1)


def test_only_the_hosts_asked_for_are_verified(runs: dict[str, list[Event]]) -> None:
    assert runs["limited"][0] == Started("verify", ("@local",))
    assert runs["limited"][-1] == Ended(0)


@pytest.mark.parametrize(
    ("case", "message", "code"),
    [
        ("unknown setting", "did you mean size?", 2),
        ("wrong type", "big", 2),
        ("no inventory", "was never closed", 2),
        ("no checks", "the role mine has no checks (found no such file", 1),
        ("no role", "there is nothing to verify", 2),
        ("early end", "the checks ended without finishing", 1),
    ],
)
def test_what_cannot_be_verified_is_said_in_a_line(
    runs: dict[str, list[Event]], case: str, message: str, code: int
) -> None:
    told, ended = runs[case][-2:]
    assert isinstance(told, HostFailed | Refused)
    line = f"{told.message} {told.hint} {getattr(told, 'found', '')}"
    assert message in line
    assert "\n" not in line
    assert ended == Ended(code)


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([0, 0], 0),
        ([0, 3], 3),
        ([3, 1], 1),
        ([2, 2], 2),
        ([2, 0], 2),
        ([2, 1], 1),
        ([0, 70], 1),
        ([-9, 3], 1),
    ],
)
def test_one_exit_code_for_all_hosts(codes: list[int], code: int) -> None:
    assert combined(codes) == code
