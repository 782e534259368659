"""`labctl fit` and `labctl place` for the tests beside."""

from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import Command, command


@pytest.fixture
def fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`labctl fit` on a machine without a GPU."""
    return command(capsys, monkeypatch, tmp_path / "share")


@pytest.fixture
def place(capsys: pytest.CaptureFixture[str]) -> Command:
    """`labctl place`."""
    return Command(capsys, "place")
