"""Importing pyinfra: the standard library is patched, and found as it was otherwise."""

import subprocess
import sys

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
from gevent import monkey
print(monkey.is_module_patched("socket"), metadata.entry_points is counted, looked)
"""


def test_all_that_is_installed_is_looked_through_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True True [{}]\n"
