"""A failed test on a host says what the host saw, and hosts of failed tests do not linger."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = """
from tests.host.cache import open_cache

def test_fails(boot_host):
    boot_host("witness").console_run("logger canary-$((6 * 7))")
    assert False

def test_fails_to_boot(boot_host):
    boot_host("witness", nspawn_arguments=["--no-such-option"])

def test_the_name_is_free_again(throwaway_hosts, boot_host):
    assert list(throwaway_hosts) == []
    boot_host("witness")

def test_needs_no_host():
    pass
"""


def _pytest(folder: Path, *arguments: str) -> str:
    (folder / "test_report.py").write_text(_TESTS)
    repository = Path(__file__).parents[2]
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.host.fixtures", "--rootdir", str(folder), "-q"]
        + ["--color=no", str(folder / "test_report.py"), *arguments],
        cwd=repository,
        check=False,
        capture_output=True,
        text=True,
    )
    return completed.stdout


@pytest.mark.host
def test_a_failed_test_is_reported_with_what_its_hosts_said(tmp_path: Path) -> None:
    report = _pytest(tmp_path)

    assert "2 failed, 2 passed" in report
    first, second = re.split(r"_{5,} test_fails_to_boot _{5,}", report)
    assert "canary-42" in first
    assert "Reached target" in first, "the console"
    (kept,) = re.findall(r"all of it in (\S+/\S+test_fails-witness\.log)", first)
    assert "canary-42" in Path(kept).read_text()
    assert "no-such-option" in second


def test_what_boots_hosts_is_marked(tmp_path: Path) -> None:
    report = _pytest(tmp_path, "-m", "not host", "--collect-only")

    assert "test_needs_no_host" in report
    assert "3 deselected" in report
