"""Start-up costs next to nothing: what a command does not use is not imported. Counted in modules, not in seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "gevent",
    "jinja2",
    "paramiko",
    "pydantic",
    "pygments",
    "pyinfra",
    "pynvml",
    "pytest",
    "rich",
    "testinfra",
}


def imported(*arguments: str) -> set[str]:
    """The top-level modules in memory after `labctl ARGUMENTS`."""
    code = (
        "import json, sys; from labctl.__main__ import run\n"
        f"run({list(arguments)!r})\n"
        "print(); print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["deploy", "--help"],
        ["check", "--help"],
        ["deploi"],
        ["check", "--data", "x"],
        ["secrets", "set", "--help"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    assert imported(*arguments) & HEAVY == set()


_BEFORE_THE_LOOK = """
import json, sys
from labctl.cli import apply_answer
from labctl.edges.patched_library import import_pyinfra
import_pyinfra()
from labctl.edges import host_session
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.inventory_file import {read}
assert len({read}(DeployRequest("read", sys.argv[1]))) == 1
print(json.dumps([*sys.modules]))
"""
_LATER = {"pydantic", "labctl.plan.plan", "labctl.edges.applying", "roles.base.deploy"}


@pytest.mark.parametrize(
    ("read", "data", "imported"),
    [
        ("read_inventory", '{"base": {}}', set()),
        ("load_inventory", '{"ssh_user": "lab"}', set()),
        ("load_inventory", '{"base": {}}', {"pydantic", "roles.base.deploy"}),
    ],
)
def test_hosts_begin_to_look_before_all_the_rest_is_imported(
    tmp_path: Path, read: str, data: str, imported: set[str]
) -> None:
    inventory = tmp_path / "home.py"
    inventory.write_text(f'hosts = [("aibox", {data})]')
    command = [sys.executable, "-c", _BEFORE_THE_LOOK.format(read=read), str(inventory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) & _LATER == imported


def test_what_is_imported_is_not_looked_through_again_and_again() -> None:
    code = (
        "import gc, sys; from labctl.__main__ import main; sys.argv[1:] = ['--help']\n"
        "before = gc.get_stats()[0]['collections']\n"
        "try: main()\n"
        "except SystemExit as end: exit_code = end.code\n"
        "print(exit_code, gc.get_stats()[0]['collections'] - before < 5, gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 True True"


def test_an_import_would_be_seen() -> None:
    code = "import jinja2, json, sys; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(result.stdout)) & HEAVY == {"jinja2"}


def test_the_console_script_is_this() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="labctl")
    assert script.value == "labctl.__main__:main"
