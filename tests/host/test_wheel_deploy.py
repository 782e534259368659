"""An installed labctl with nothing but an inventory beside it deploys: the wheel brings roles and templates along."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.deploying import write_inventory
from tests.host.throwaway_host import ThrowawayHost
from tests.wheel import build_wheel, install_wheel_alone

pytestmark = pytest.mark.host


def test_the_wheel_deploys_from_an_empty_directory(
    boot_host: Callable[..., ThrowawayHost], tmp_path: Path
) -> None:
    installed = install_wheel_alone(build_wheel(tmp_path / "dist"), tmp_path / "environment")
    here = tmp_path / "empty"
    here.mkdir()
    host = boot_host("wheel")
    inventory = write_inventory(here / "mine.py", host)

    def labctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "labctl"), *arguments]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=False, timeout=600)

    fresh = labctl("check", inventory.name)
    assert fresh.returncode == 3, fresh.stdout + fresh.stderr
    assert "podman: packages" in fresh.stdout
    deployed = labctl("deploy", inventory.name)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    again = labctl("check", inventory.name)
    assert again.returncode == 0, again.stdout + again.stderr
    verified = labctl("verify", inventory.name)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert [path.name for path in here.iterdir()] == ["mine.py"]
