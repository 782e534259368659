"""Mistakes in an inventory or on the command line: one line that names the place, exit code 2, no host connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.complaints import complain
from tests.host.deploying import pyinfra

pytestmark = pytest.mark.host  # no host is booted, but ten driver processes are too slow for the fast loop


@pytest.fixture
def port() -> Iterator[int]:
    """Where the hosts of these inventories seem to be; the test fails when somebody knocks there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def _inventory(path: Path, port: int, data: str) -> Path:
    path.write_text(
        f'hosts = [("aibox", {{"ssh_hostname": "127.0.0.1", "ssh_port": {port}, {data}}}),\n'
        f'         ("other", {{"ssh_hostname": "127.0.0.1", "ssh_port": {port}}})]\n'
    )
    return path


@dataclass(frozen=True)
class Mistake:
    """data: in the entry of one of two hosts. says: parts of the line that a person reads."""

    data: str
    says: tuple[str, ...]
    options: tuple[str, ...] = ()


_MISTAKES = {
    "unknown key": Mistake('"bsae": {}', ("aibox.bsae", "did you mean base?")),
    "key of nobody's": Mistake('"colour": 1', ("aibox.colour", "expected one of: base, ", "x_")),
    "unknown setting": Mistake(
        '"base": {"journald_max_sue": "1G"}',
        ("aibox.base.journald_max_sue", "did you mean journald_max_use?"),
    ),
    "wrong type": Mistake(
        '"base": {"journald_max_use": 5}', ("aibox.base.journald_max_use", "found 5", "expected", "string")
    ),
    "settings are no mapping": Mistake('"firewall": "off"', ("aibox.firewall", "found 'off'", "mapping")),
    "value out of range": Mistake(
        '"firewall": {"exposed": [{"port": 99999}]}', ("aibox.firewall.exposed.0.port", "99999", "65535")
    ),
    "connection setting": Mistake('"ssh_user": 7', ("aibox", "ssh_user", "int is not an instance of str")),
    "syntax": Mistake('"base": {', ("home.py:", "SyntaxError", "correct the file")),
    "undefined name": Mistake('"base": settings', ("home.py:1", "NameError", "settings")),
    "unknown role": Mistake(
        "", ("--only", "bsae", "base, firewall, nvidia_driver, cuda"), ("--only", "base,bsae")
    ),
    "unknown role to skip": Mistake("", ("--skip", "podmam"), ("--skip", "podmam")),
    "unknown host": Mistake("", ("--limit", "aibx", "aibox, other"), ("--limit", "aibx")),
}


@pytest.mark.parametrize("mistake", _MISTAKES.values(), ids=_MISTAKES)
def test_a_mistake_is_named_with_its_place_and_nothing_is_begun(
    mistake: Mistake, port: int, tmp_path: Path
) -> None:
    inventory = _inventory(tmp_path / "home.py", port, mistake.data)
    complaint = complain(inventory, *mistake.options)
    assert complaint.exit_code == 2
    assert complaint.person.stdout == ""
    assert len(complaint.person.stderr.splitlines()) == 1
    assert complaint.person.stderr.startswith("labctl: ")
    for words in mistake.says:
        assert words in complaint.person.stderr
    assert complaint.error["exit_code"] == 2
    assert complaint.error["where"]


def test_a_mistake_in_group_data_is_found_in_its_file(port: int, tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "all.py").write_text("\nbase = {'journald_max_use': }\n")
    complaint = complain(_inventory(tmp_path / "home.py", port, ""))
    assert complaint.exit_code == 2
    assert "group_data/all.py:2: SyntaxError" in complaint.person.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such inventory"),
        ("hosts = []", "names no host"),
        ("hosts = [('aibox',)]", "not an inventory"),
        ("hosts = [('aibox', 5)]", "not an inventory"),
    ],
    ids=["missing", "empty", "half an entry", "data of another kind"],
)
def test_what_is_no_inventory_is_said_to_be_none(content: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "home.py"
    if content is not None:
        path.write_text(content + "\n")
    complaint = complain(path)
    assert complaint.exit_code == 2
    assert f"labctl: {path}: " in complaint.person.stderr
    assert says in complaint.person.stderr
    assert "hosts = [" in complaint.person.stderr or "copy inventory/home.py" in complaint.person.stderr


def test_check_and_verify_refuse_the_same(port: int, tmp_path: Path) -> None:
    inventory = _inventory(tmp_path / "home.py", port, '"bsae": {}')
    lines = {complain(inventory, command=command).person.stderr for command in ("deploy", "check", "verify")}
    assert len(lines) == 1


def test_plain_pyinfra_says_it_in_one_line_too(tmp_path: Path) -> None:
    inventory = tmp_path / "home.py"
    inventory.write_text('hosts = [("@local", {"base": {"journald_max_sue": "1G"}})]\n')
    run = pyinfra(inventory, "deploy/gpu_host.py", "-y")
    said = [line for line in run.stderr.splitlines() if "journald_max_sue" in line]
    assert run.exit_code == 1
    assert len(said) == 1
    assert "did you mean journald_max_use?" in said[0]
    assert "Starting operation" not in run.stderr
    assert "Traceback" not in run.stderr
