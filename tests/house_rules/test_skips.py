"""Where CI=true nothing is skipped: a green run means that everything ran."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT, files

PLANTED = """
import pytest

def test_skips_itself():
    pytest.skip("no root")

@pytest.mark.skip(reason="no root")
def test_is_skipped():
    pass

@pytest.mark.xfail(strict=True)
def test_is_known_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", "1 failed, 1 xfailed, 1 error"), ("", "2 skipped, 1 xfailed")]
)
def test_a_skip_fails_in_ci_only(ci: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(PLANTED)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
    ]
    result = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in result.stdout
    assert ("CI=true does not allow that: no root" in result.stdout.replace("Skipped: ", "")) is (
        ci == "true"
    )


def test_every_host_test_is_where_make_test_looks_for_them() -> None:
    said = re.search(r"^HOST_TESTS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert said
    places = [ROOT / name for name in said[1].split()]
    # tests/host/fixtures.py marks what asks for a host.
    mark = re.compile(
        r"^(pytestmark = .*|@)pytest\.mark\.host\b|^def test_\w+\([^)]*\b(throwaway_hosts?|boot_host)\b",
        re.MULTILINE,
    )
    marked = [file for file in files(".py") if mark.search(file.read_text())]
    assert len(marked) > len(places)
    assert [file for file in marked if not any(file.is_relative_to(place) for place in places)] == []
