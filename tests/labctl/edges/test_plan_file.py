"""Plans on disk are either the old one or the new one."""

import os
from pathlib import Path

import pytest

from labctl.edges import plan_content
from labctl.edges.plan_file import read_plan, write_plan
from labctl.errors import BadInput, Failed
from labctl.plan.plan_json import MOST_BYTES, dump
from tests.labctl.plan.plans import plan, runs

OLD, NEW = plan({}), plan({"w": runs()})


def test_a_new_plan_takes_the_place_of_the_old_file(tmp_path: Path) -> None:
    path, seen = tmp_path / "plan.json", tmp_path / "opened-before"
    assert write_plan(path, OLD)
    seen.hardlink_to(path)
    assert write_plan(path, NEW)
    # Written in place, whoever has it open would see half of it.
    assert seen.read_text() == dump(OLD)
    assert read_plan(str(path)) == NEW
    assert sorted(each.name for each in tmp_path.iterdir()) == ["opened-before", "plan.json"]


def test_the_same_plan_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert write_plan(path, OLD)
    inode = path.stat().st_ino
    assert not write_plan(path, OLD)
    assert path.stat().st_ino == inode


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    link, path, pipe = tmp_path / "link.json", tmp_path / "plan.json", tmp_path / "pipe"
    write_plan(path, OLD)
    link.symlink_to(path)
    assert write_plan(link, NEW)
    assert link.is_symlink()
    assert read_plan(str(path)) == NEW
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert write_plan(pipe, OLD)
    assert os.read(reader, 1 << 16).decode() == dump(OLD)
    os.close(reader)
    assert pipe.is_fifo()


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "plan.json", tmp_path):
        with pytest.raises(Failed, match="cannot be written") as failed:
            write_plan(path, OLD)
        assert failed.value.where == str(path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_plan(str(tmp_path))


def test_its_hosts_are_known_at_a_glance() -> None:
    content = dump(NEW).encode()
    (host,) = NEW.rig.hosts
    assert NEW.rig.bound
    assert plan_content.hosts_named(content) == plan_content.HostsNamed(
        (host.name,), frozenset({NEW.workloads["w"].host})
    )
    assert plan_content.MOST_BYTES == MOST_BYTES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        dump(NEW)[:-3].encode(),
        dump(NEW).replace('"bound": true', '"bound": false').encode(),
        dump(NEW).replace('"schema_version": 1', '"schema_version": 2').encode(),
        dump(NEW).replace('"workloads": {', '"workloads": [{').encode(),
    ],
)
def test_of_what_cannot_be_applied_no_host_is_known_at_a_glance(content: bytes) -> None:
    assert plan_content.hosts_named(content) is None
