"""The inventory as the driver opens it; in a process of its own, since pyinfra patches the standard library."""

import subprocess
import sys
from pathlib import Path

import pytest

_OPEN = """
import sys
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.inventory_file import load_inventory
for host in load_inventory(DeployRequest("deploy", sys.argv[1])):
    print(host.name, repr(host.data.get("_sudo_password")), repr(host.data.get("x_token")))
"""
_SECRET = "from labctl.secret import Secret\n{name} = Secret.env('LABCTL_TEST_SECRET')\n"


def test_a_connections_secret_is_opened_wherever_it_stands_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_TEST_SECRET", "canary")
    (tmp_path / "home.py").write_text("hosts = ['one', ('two', {'_sudo_password': 'its own'})]\n")
    group_data = tmp_path / "group_data"
    group_data.mkdir()
    (group_data / "all.py").write_text(_SECRET.format(name="_sudo_password") + _SECRET.format(name="x_token"))
    opened = subprocess.run(
        [sys.executable, "-c", _OPEN, str(tmp_path / "home.py")], capture_output=True, text=True, check=True
    )
    assert opened.stdout.splitlines() == ["one 'canary' '*MASKED*'", "two 'its own' '*MASKED*'"]
