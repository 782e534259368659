"""A cached folder is made once, seen whole or not at all, and deleted when replaced and unused."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import Failed
from tests.host.cached_folder import CachedFolder, hold

_WEEK = 7.0


def _hold(parent: Path, recipe: str, make: Callable[[Path], None]) -> CachedFolder:
    return hold(parent, "family", recipe, make, refresh_after_days=_WEEK)


def _make(folder: Path) -> None:
    (folder / "content").write_text("whole")


def _never(_folder: Path) -> None:
    raise AssertionError("there was no need to make it")


def _aged(folder: CachedFolder, days: float) -> None:
    folder.release()
    family, recipe, made_at = folder.path.name.split(".")
    folder.path.rename(folder.path.with_name(f"{family}.{recipe}.{int(made_at) - int(days * 86400)}"))


def test_it_is_made_once(tmp_path: Path) -> None:
    first = _hold(tmp_path, "a", _make)
    assert (first.path / "content").read_text() == "whole"
    assert _hold(tmp_path, "a", _never).path == first.path


def test_another_recipe_makes_another(tmp_path: Path) -> None:
    assert _hold(tmp_path, "a", _make).path != _hold(tmp_path, "b", _make).path


def test_what_failed_half_way_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "content").write_text("ha")
        raise Failed("no network")

    with pytest.raises(Failed, match="no network"):
        _hold(tmp_path, "a", fail)

    assert [path for path in tmp_path.rglob("*") if path.is_dir()] == []


def test_what_somebody_was_killed_at_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".family.making").mkdir()
    (tmp_path / ".family.making" / "content").write_text("ha")

    assert (_hold(tmp_path, "a", _make).path / "content").read_text() == "whole"


def test_an_old_one_is_made_anew(tmp_path: Path) -> None:
    _aged(_hold(tmp_path, "a", _make), days=8)
    made: list[Path] = []

    _hold(tmp_path, "a", made.append)

    assert len(made) == 1


def test_an_old_one_serves_when_it_cannot_be_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _aged(_hold(tmp_path, "a", _make), days=8)

    def fail(_folder: Path) -> None:
        raise Failed("no network")

    assert (_hold(tmp_path, "a", fail).path / "content").read_text() == "whole"
    assert "is old and stays in use: no network" in capsys.readouterr().err


def test_the_third_youngest_is_deleted_once_nobody_uses_it(tmp_path: Path) -> None:
    oldest, middle = _hold(tmp_path, "a", _make), _hold(tmp_path, "b", _make)
    _aged(middle, days=1)  # makes their order known; `oldest` stays in use
    oldest_path = oldest.path.rename(oldest.path.with_name(f"family.a.{int(time.time()) - 2 * 86400}"))
    Path(f"{oldest.path}.used").rename(f"{oldest_path}.used")

    _hold(tmp_path, "c", _make)
    assert oldest_path.exists()
    oldest.release()
    _hold(tmp_path, "c", _never)

    assert not oldest_path.exists()
    assert sorted(folder.name.split(".")[1] for folder in tmp_path.glob("family.*.*/")) == ["b", "c"]
