"""An installed labctl, in a folder with nothing but an inventory, deploys to a bare host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.host.deploying import write_inventory
from tests.host.throwaway_host import ThrowawayHost
from tests.wheel import build_wheel, install_wheel

# tests/test_wheel.py sees every time that a wheel is whole.
pytestmark = [pytest.mark.host, pytest.mark.nightly]


def test_it_deploys_checks_and_verifies_without_the_checkout(
    throwaway_host: ThrowawayHost, tmp_path: Path
) -> None:
    programs = install_wheel(build_wheel(tmp_path / "wheel"), tmp_path / "environment")
    (tmp_path / "empty" / "inventory").mkdir(parents=True)
    write_inventory(tmp_path / "empty" / "inventory" / "home.py", throwaway_host)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    for command in ("deploy", "check", "verify"):
        done = subprocess.run(
            [programs / "labctl", command],
            cwd=tmp_path / "empty",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    receipt = throwaway_host.console_run("cat /var/lib/labctl/receipt.json").stdout
    assert '"podman: packages"' in receipt
    assert sorted(path.name for path in (tmp_path / "empty").rglob("*.py")) == ["home.py"]
