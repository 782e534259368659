"""Importing pyinfra: the standard library is patched, and found as it was otherwise."""

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
from importlib import metadata
looked = []
standard = metadata.entry_points
def counted(**how):
    looked.append(how)
    return standard(**how)
metadata.entry_points = counted
from labctl.edges.patched_library import import_pyinfra
import_pyinfra()
import_pyinfra()
from pyinfra.api.connectors import get_all_connectors
assert "@ssh" not in get_all_connectors() and "ssh" in get_all_connectors()
from gevent import monkey
print(monkey.is_module_patched("socket"), metadata.entry_points is counted, looked)
"""


def test_all_that_is_installed_is_looked_through_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True True [{}]\n"


_MATCH = """
import sys
from labctl.edges.patched_library import import_pyinfra
import_pyinfra()
print("invoke" in sys.modules)
from pyinfra.connectors.sshuserclient.config import SSHConfig
config = SSHConfig()
config.parse(open(sys.argv[1]))
print(config.lookup("aibox")["port"])
import invoke
print(callable(invoke.run))
"""


def test_what_paramiko_can_do_without_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Match exec true\n  Port 2222\nHost *\n  Port 22\n")
    done = subprocess.run(
        [sys.executable, "-c", _MATCH, tmp_path / "config"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "SHELL": "true"},
    )
    assert done.stdout == "False\n2222\nTrue\n"
