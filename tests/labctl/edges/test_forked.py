"""Work in processes forked from this one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labctl.edges.forked import AT_ONCE, CRASHED, Turn, in_processes

WAITS = """
import pathlib, os, sys, time
from labctl.edges.forked import in_processes

def work(name):
    pathlib.Path(sys.argv[1], name).write_text(str(os.getpid()))
    time.sleep(600)
    return 0

in_processes(["a", "b"], work)
"""


def test_each_name_has_its_own_result() -> None:
    names = [str(number) for number in range(AT_ONCE + 3)]
    assert in_processes(names, lambda name: int(name) % 4) == {name: int(name) % 4 for name in names}


def test_no_more_run_at_once_than_allowed(tmp_path: Path) -> None:
    def work(name: str) -> int:
        (tmp_path / name).touch()
        while int(name) < AT_ONCE > len(list(tmp_path.iterdir())):
            time.sleep(0.01)
        time.sleep(0.2)  # for one too many to begin
        running = len(list(tmp_path.iterdir()))
        (tmp_path / name).unlink()
        return running

    seen = in_processes([str(number) for number in range(AT_ONCE + 1)], work)
    assert max(seen.values()) == AT_ONCE


def test_one_that_dies_takes_no_other_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    def work(name: str) -> int:
        if name == "raises":
            raise RuntimeError("broken in some way")
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "leaves":
            os._exit(0)
        return 3

    codes = in_processes(["raises", "killed", "leaves", "works"], work)
    assert codes == {"raises": CRASHED, "killed": -signal.SIGKILL, "leaves": CRASHED, "works": 3}
    assert "RuntimeError: broken in some way" in capfd.readouterr().err


def test_lines_do_not_mix() -> None:
    read_fd, write_fd = os.pipe()
    turn = Turn()

    def work(name: str) -> int:
        for _ in range(20):
            with turn:
                for _ in range(3):  # more than a pipe takes in one piece
                    os.write(write_fd, name.encode() * 4000)
                os.write(write_fd, b"\n")
        return 0

    with os.fdopen(read_fd) as stream:
        child = os.fork()
        if child == 0:
            stream.close()
            in_processes("abcd", work)
            os._exit(0)
        os.close(write_fd)
        lines = stream.read().splitlines()
        os.waitpid(child, 0)
    assert sorted(lines) == sorted(name * 12000 for name in "abcd" for _ in range(20))


def test_the_end_of_the_first_process_is_the_end_of_all(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", WAITS, str(tmp_path)])
    waits = [tmp_path / "a", tmp_path / "b"]
    while not all(path.exists() and path.read_text() for path in waits):
        assert first.poll() is None
        time.sleep(0.02)
    first.terminate()
    assert first.wait() == 128 + signal.SIGTERM
    pids = [int(path.read_text()) for path in waits]
    while any(_alive(pid) for pid in pids):  # ends with the test run's own patience
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
