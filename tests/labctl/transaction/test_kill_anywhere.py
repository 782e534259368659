"""Killed before any of its steps, or with the power cut there, a transaction ends on the old or the new generation."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.transaction.report import RESULT
from labctl.transaction.steps import Cancelled
from tests.labctl.transaction.simulated_host import NEVER_HEALTHY, Killed, SimulatedHost, manifest

OLD = {"stays": "1", "changes": "1", "goes": "1"}
NEW = {"stays": "1", "changes": "2", "comes": "2"}
BAD = {"stays": "1", "changes": NEVER_HEALTHY, "comes": "2"}
MORE = {**OLD, "comes": "2"}
EDITED = {**OLD, "changes": "edited by hand"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is such a place: thousands of small files are written."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as place:
        yield Path(place)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


def prepared(root: Path) -> SimulatedHost:
    """A host on which OLD runs."""
    host = SimulatedHost(root)
    assert host.transact(host.stage(manifest(OLD))) == 0, host.lines
    return host


def killed_at(host: SimulatedHost, step: int, act: Callable[[], object]) -> bool:
    """Do `act`, but for what comes after so many steps; whether it came so far."""
    steps = count()

    def before(_what: str) -> None:
        if next(steps) >= step:
            raise Killed

    host.before_step = before
    try:
        act()
    except Killed:
        return True
    finally:
        host.before_step = lambda _what: None
    return False


def cut_power(host: SimulatedHost) -> None:
    host.boot()


def boots(host: SimulatedHost) -> None:
    assert host.recover(boot=True) == 0, host.lines
    host.start_target()


def is_whole(host: SimulatedHost, *choices: dict[str, str]) -> dict[str, str]:
    """The generation that the host is on, in every respect."""
    on_disk = host.units_on_disk()
    assert on_disk in choices
    assert host.running == on_disk
    assert not host.layout.open.exists()
    last_words = (host.layout.result, host.layout.last_result)  # told whole, if not, at the next
    left = {path for path in host.root.rglob("*.labctl-new") if path.with_suffix("") not in last_words}
    assert not left
    current = host.layout.current.readlink().name
    numbers = {path.name for path in host.layout.generations.iterdir() if not path.is_symlink()}
    assert current == max(numbers, key=int)  # one that was never in force is none to go back to
    in_force = {
        path.stem: path.read_text() for path in (host.layout.generations / current / "units").iterdir()
    }
    assert in_force == ({**on_disk, "changes": "1"} if on_disk == EDITED else on_disk)
    return on_disk


@pytest.mark.parametrize(
    ("how", "old", "new"),
    [
        ("kill", OLD, NEW),
        ("power cut", EDITED, NEW),
        ("kill", EDITED, OLD),
        ("power cut", OLD, MORE),
    ],
    ids=["kill", "power cut, edited by hand", "kill, put right", "power cut, nothing stops"],
)
def test_old_or_new_and_whole_wherever_it_ends(
    folder: Path, how: str, old: dict[str, str], new: dict[str, str]
) -> None:
    ended: list[dict[str, str]] = []
    for step in count():
        host = prepared(folder / str(step))
        if old == EDITED:
            host.layout.installed("units/changes.container").write_text(EDITED["changes"])
            host.loaded["changes"] = host.running["changes"] = EDITED["changes"]
        instance = host.stage(manifest(new))
        reached = killed_at(host, step, partial(host.transact, instance))
        if how == "kill":
            host.recover(boot=False)
        else:
            cut_power(host)
            boots(host)
        ended.append(is_whole(host, old, new))
        if step % 5 == 0:
            assert host.transact(instance) == 0, host.lines
            is_whole(host, new)
        if not reached:
            break
    # Both do happen, and there is one moment from which on it is the new one.
    assert len(ended) > 30
    assert [one == new for one in ended] == sorted(one == new for one in ended)
    assert ended[0] == old


@pytest.mark.parametrize("how", ["kill", "power cut", "next apply"])
def test_a_rollback_that_is_killed_is_gone_on_with(folder: Path, how: str) -> None:
    for step in count(0, 4):
        host = prepared(folder / str(step))
        bad = host.stage(manifest(BAD))
        reached = killed_at(host, step, partial(host.transact, bad))
        if how == "kill":
            host.recover(boot=False)
            is_whole(host, OLD)
        elif how == "power cut":
            cut_power(host)
            boots(host)
            is_whole(host, OLD)
        else:
            assert host.transact("none such") == 2
            is_whole(host, OLD)
            assert host.transact(host.stage(manifest(NEW))) == 0, host.lines
            is_whole(host, NEW)
        if not reached:
            break


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 90), st.sampled_from(["kill", "power cut"])), min_size=2, max_size=4
    ),
    wanted=st.sampled_from([NEW, BAD]),
)
def test_killed_again_and_again(folder: Path, steps: list[tuple[int, str]], wanted: dict[str, str]) -> None:
    host = prepared(Path(tempfile.mkdtemp(dir=folder)))
    instance = host.stage(manifest(wanted))
    killed_at(host, steps[0][0], lambda: host.transact(instance))
    for step, how in steps[1:]:
        if how == "kill":
            killed_at(host, step % 30, lambda: host.recover(boot=False))
        else:
            cut_power(host)
            killed_at(host, step % 30, lambda: host.recover(boot=True))
            host.start_target()
    cut_power(host)
    boots(host)
    is_whole(host, OLD, NEW)


def test_cancelled_anywhere_it_brings_back_what_was(folder: Path) -> None:
    ended = []
    for step in count(0, 2):
        host = prepared(folder / str(step))
        steps = count()

        def cancel(_what: str, steps: Iterator[int] = steps, step: int = step) -> None:
            if next(steps) == step:
                raise Cancelled("cancelled")

        host.before_step = cancel
        code = host.transact(host.stage(manifest(NEW)))
        host.recover(boot=False)  # the unit's end, always
        last = json.loads(host.lines[-1].removeprefix(RESULT))
        on = is_whole(host, OLD, NEW)
        ended.append(last["outcome"])
        assert (code == 0, last["outcome"] == "done") == (on == NEW, on == NEW), host.lines
        if next(steps) <= step:
            break
    assert set(ended) == {"refused", "rolled back", "done"}


def full_from(host: SimulatedHost, step: int) -> None:
    """From so many steps on nothing can be written any more; what can be removed, can."""
    steps = count()

    def before(what: str) -> None:
        if what.split(maxsplit=1)[0] in ("write", "mkdir", "symlink") and next(steps) >= step:
            raise OSError(errno.ENOSPC, "No space left on device", what.split()[1])

    host.before_step = before


@pytest.mark.parametrize("then", ["unit's end", "boot"])
def test_on_a_full_disk_it_says_what_to_free_and_ends_whole_when_there_is_room(
    folder: Path, then: str
) -> None:
    ended = []
    for step in count(0, 2):
        host = prepared(folder / str(step))
        instance = host.stage(manifest(NEW))
        full_from(host, step)
        code = host.transact(instance)
        said = json.loads(host.lines[-1].removeprefix(RESULT))
        ended.append(said["outcome"])
        if code:
            assert "make room" in said["error"]["hint"], host.lines
        if then == "boot":
            cut_power(host)
        was_open = host.layout.state.exists()
        code = host.recover(boot=then == "boot")
        assert (code != 0) == host.layout.state.exists()
        if was_open and code:
            assert "make room" in json.loads(host.lines[-1].removeprefix(RESULT))["error"]["hint"]
        host.before_step = lambda _what: None
        assert host.recover(boot=then == "boot") == 0
        if then == "boot":
            host.start_target()
        is_whole(host, OLD, NEW)
        if ended[-1] == "done":
            break
    assert {"refused", "left for the next boot", "done"} <= set(ended)
