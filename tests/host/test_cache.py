"""The cache is where it was asked to be, and does not grow for ever."""

import os
import time
from pathlib import Path

import pytest

from labctl.errors import BadInput, Failed
from tests.host.cache import CACHE_VARIABLE, Cache, open_cache, remove_old_files


def _age(file: Path, days: float) -> Path:
    file.write_text("")
    then = time.time() - days * 86400
    os.utime(file, (then, then))
    return file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "here"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return open_cache()


def test_its_folders_are_made_where_it_was_asked_to_be(cache: Cache, tmp_path: Path) -> None:
    assert cache.root == tmp_path / "here"
    assert all(
        folder.is_dir() for folder in (cache.bases, cache.layers, cache.packages, cache.sessions, cache.logs)
    )


def test_a_path_an_overlay_cannot_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "/var/tmp/a,b")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(BadInput, match=r"LABCTL_TEST_CACHE.*/var/tmp/a,b"):
        open_cache()


def test_packages_go_after_a_month_unused_and_logs_after_a_week(cache: Cache) -> None:
    old = [
        _age(cache.packages / "old", 31),
        _age(cache.packages / ".part-killed", 31),
        _age(cache.logs / "old", 8),
    ]
    young = [_age(cache.packages / "young", 29), _age(cache.logs / "young", 6)]

    remove_old_files(cache)

    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in young)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Failed, match=r"need root.*sudo"):
        open_cache()
