"""deploy/workloads.py by pyinfra itself, against a simulated host behind the shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.deploying import CHECKOUT
from tests.labctl.apply.house import HOME, House

# pyinfra changes the standard library as it is imported: in a process of its own, as a person runs it.
_PYINFRA = """
import sys
from pathlib import Path
from labctl.edges import applying, pyinfra_workloads
from tests.labctl.apply.house import CARDS
from tests.labctl.apply.simulated_shell import SimulatedModels, SimulatedShell

root, fault, *arguments = sys.argv[1:]
shell = SimulatedShell(Path(root), cards=CARDS[1:] if fault == "gone" else CARDS)
shell.images = () if fault == "no image" else None
shell.host.start_target()
applying.HostModels = SimulatedModels
pyinfra_workloads.shell_of = lambda host: shell
sys.argv = ["pyinfra", *arguments]
from pyinfra_cli.main import cli
try:
    cli()
finally:
    print("started:", *sorted(each for each in shell.host.started if "_start" not in each))
    print("touched:", shell.touched)
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path, {})
    made.write(HOME)
    return made


def pyinfra(house: House, fault: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _PYINFRA, str(house.folder / "root"), fault, "-y", "@local"]
    return subprocess.run(
        [*command, str(CHECKOUT / "deploy" / "workloads.py"), "--data", f"plan={house.path}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        timeout=120,
        check=False,
    )


def test_it_puts_a_plan_in_place_once(house: House) -> None:
    first = pyinfra(house)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "done: generation 1" in first.stdout + first.stderr
    again = pyinfra(house)
    assert (again.returncode, "No changes" in again.stdout + again.stderr) == (0, True), again.stderr
    assert "touched: False" in again.stdout


def test_a_card_that_is_gone_ends_it_before_it_begins(house: House) -> None:
    gone = pyinfra(house, "gone")
    assert gone.returncode != 0
    assert "labctl place --without" in gone.stdout + gone.stderr
    assert "touched: False" in gone.stdout


def test_what_the_host_cannot_do_fails_the_operation(house: House) -> None:
    failed = pyinfra(house, "no image")
    assert failed.returncode != 0, failed.stdout
    assert "the image cannot be pulled" in failed.stdout + failed.stderr
    assert "started:\n" in failed.stdout
