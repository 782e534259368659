"""The shell script that labctl is measured against installs what the roles install."""

import subprocess

import pytest

from labctl.edges.preflights import decision_table
from roles.base.deploy import PACKAGES as BASE
from roles.container_toolkit.deploy import PACKAGE as TOOLKIT
from roles.podman.deploy import PACKAGES as PODMAN
from tests.bench.gpu_host import SCRIPT


def _wanted() -> set[str]:
    table = decision_table()
    (system,) = [each for each in table.systems if each.name == "Debian 13"]
    (offer,) = [each for each in table.offers_for(system) if each.source == "distribution"]
    assert offer.cuda
    return {*BASE, *PODMAN, *offer.packages, *offer.proprietary, offer.cuda.package, TOOLKIT}


@pytest.mark.parametrize("name", sorted(_wanted()))
def test_the_script_names_every_package_of_the_roles(name: str) -> None:
    assert name in SCRIPT.read_text().split(), f"{SCRIPT.name} is behind the roles"


def test_a_shell_understands_the_script() -> None:
    assert subprocess.run(["sh", "-n", str(SCRIPT)], check=False).returncode == 0
