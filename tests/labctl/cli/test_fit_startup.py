"""`labctl fit` answers at once: what a question does not need is not imported. Counted in modules, not in seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import gguf

HEAVY = {
    "huggingface_hub",
    "pydantic",
    "pynvml",
    "rich",
    "jinja2",
    "pyinfra",
    "gevent",
    "pytest",
    "httpx",
    "hashlib",
}


def imported(tmp_path: Path, *arguments: str) -> set[str]:
    """The top-level modules in memory after `labctl fit FILE ARGUMENTS`, on a machine without a driver."""
    code = (
        "import json, sys; from labctl.__main__ import run; from labctl.edges import nvml\n"
        "nvml._DEVICES = ()\n"
        f"assert run({['fit', gguf(tmp_path), *arguments]!r}) == 0\n"
        "print(); print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    )
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--gpu", "rtx-3090"], ["--explain"]], ids=" ".join)
def test_a_file_needs_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert imported(tmp_path, *arguments) & HEAVY == set()


def test_a_rig_file_needs_the_schema_and_so_an_import_is_seen(tmp_path: Path) -> None:
    rig = str(Path("workloads/rigs/dual-3090.yaml").resolve())
    assert "pydantic" in imported(tmp_path, "--rig", rig)
