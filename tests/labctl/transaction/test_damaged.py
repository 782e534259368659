"""A file of ours that a disk or a hand has damaged is named, with what to do, and never answered by a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.transaction.generations import META
from labctl.transaction.layout import Layout
from labctl.transaction.report import RESULT
from tests.labctl.transaction.simulated_host import CARD, IMAGE, SimulatedHost, manifest

FILES: dict[str, Callable[[Layout], Path]] = {
    "versions of data": lambda layout: layout.data_images,
    "under way": lambda layout: layout.state,
    "a generation": lambda layout: layout.generations / "1" / META,
    "how the last one ended": lambda layout: layout.last_result,
}


@pytest.fixture
def host(tmp_path: Path) -> SimulatedHost:
    made = SimulatedHost(tmp_path, images={IMAGE}, free_mib={CARD: 24000})
    assert made.transact(made.stage(manifest({"chat": "1"}))) == 0, made.lines
    return made


def damage(host: SimulatedHost, file: str, text: str) -> Path:
    path = FILES[file](host.layout)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ['{"transaction": "chat', "[1, 2]", ""])
@pytest.mark.parametrize("file", FILES)
def test_status_names_the_file_and_what_to_do(
    host: SimulatedHost, file: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damage(host, file, text)
    assert host.print_status() == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"{path}: the file is damaged (found ")
    assert "remove" in line
    assert printed.out == ""


def test_status_of_a_whole_host_is_one_document(
    host: SimulatedHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.print_status() == 0
    assert json.loads(capsys.readouterr().out)["current"] == 1


def test_an_apply_touches_nothing_and_says_so_and_goes_on_without_the_file(host: SimulatedHost) -> None:
    path = damage(host, "under way", "{")
    host.started.clear()
    stage = host.stage(manifest({"chat": "2"}))
    assert host.transact(stage) == 1
    assert (host.started, host.stopped) == ([], [])
    assert "refused: the file is damaged" in host.lines
    error = json.loads(host.lines[-1].removeprefix(RESULT))["error"]
    assert (error["where"], "remove the file, then apply again" in error["hint"]) == (str(path), True)
    path.unlink()
    assert host.transact(stage) == 0
    assert host.running == {"chat": "2"}


def test_a_boot_says_so_in_its_last_line(host: SimulatedHost) -> None:
    path = damage(host, "under way", "{")
    assert host.recover(boot=True) == 1
    assert host.lines[-1].startswith(f"recovery: {path}: the file is damaged")
