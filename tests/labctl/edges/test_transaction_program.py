"""The file that is installed on a host: one, with nothing beside it, on the Python that the host has."""

import subprocess
import sys
from pathlib import Path

import pytest

from labctl.edges import host_transactions, transaction_program
from labctl.edges.transaction_program import PROGRAM, RECOVERY, UNITS, installed, program, unit_of


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The program in a folder of its own."""
    path = tmp_path / "transaction"
    path.write_bytes(program())
    return path


def run(alone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without site-packages, and without anything that this checkout or the environment would bring."""
    command = [sys.executable, "-I", "-S", str(alone), *arguments]
    return subprocess.run(command, cwd=alone.parent, capture_output=True, text=True, check=False)


def test_it_runs_on_the_standard_library_alone(alone: Path) -> None:
    done = run(alone, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "recover" in done.stdout


def test_bad_arguments_are_refused(alone: Path) -> None:
    assert run(alone, "nonsense").returncode == 2


def test_whoever_asks_how_it_is_does_not_wait_for_what_is_not_needed_for_that(alone: Path) -> None:
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], 'status']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(alone)], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.splitlines()[-1].split())
    assert "labctl.transaction.generations" in modules
    assert (
        modules & {"argparse", "subprocess", "labctl.transaction.decision", "labctl.transaction.steps"}
        == set()
    )


def test_the_same_sources_make_the_same_file() -> None:
    first = program()
    transaction_program.program.cache_clear()
    assert program() == first


def test_a_host_gets_the_program_and_the_units_that_run_it() -> None:
    paths = installed()
    assert set(paths) == {
        PROGRAM,
        f"{UNITS}/labctl-transaction@.service",
        f"{UNITS}/labctl-transaction-undo.service",
        f"{UNITS}/{RECOVERY}",
        f"{UNITS}/labctl.target",
    }
    for path, (content, mode) in paths.items():
        assert mode == (0o755 if path == PROGRAM else 0o644)
        if path.endswith(".service"):
            assert PROGRAM.encode() in content
    assert unit_of("generation-3") == "labctl-transaction@generation-3.service"


def test_where_podman_keeps_its_networks_can_be_written_and_every_such_folder_is_there() -> None:
    for path, (content, _) in installed().items():
        lines = content.decode().splitlines() if path.endswith(".service") else []
        writable = {
            each
            for line in lines
            if line.startswith("ReadWritePaths=")
            for each in line.partition("=")[2].split()
        }
        if path.endswith((f"/{RECOVERY}", ".target")) or not lines:
            continue
        assert "/etc/containers/networks" in writable, path
        distributions = {"/etc/systemd/system"}
        made = " ".join(
            line for line in host_transactions._STAGE.splitlines() if line.startswith("install -d")
        )
        assert writable - distributions <= set(made.split()), path
