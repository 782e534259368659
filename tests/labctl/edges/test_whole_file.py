"""A file is written whole or left as it was."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from labctl.edges.whole_file import write_whole
from labctl.errors import Failed


def test_it_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    write_whole(file, "first – ×\n", "the page")
    write_whole(file, "second\n", "the page")
    assert file.read_text() == "second\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failing", ["os.fsync", "Path.replace"])
def test_a_full_disk_leaves_the_old_one(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "page.html"
    file.write_text("old")
    monkeypatch.setattr(f"labctl.edges.whole_file.{failing}", full)
    with pytest.raises(Failed, match="the page cannot be written") as failed:
        write_whole(file, "new", "the page")
    assert failed.value.where == str(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_one(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "page.html"
    target.parent.mkdir()
    link = tmp_path / "page.html"
    link.symlink_to(target)
    write_whole(link, "text", "the page")
    assert link.is_symlink()
    assert target.read_text() == "text"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "text", "the page")
    reader.join(timeout=10)
    assert heard == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/"), Path(".."), Path()):
        with pytest.raises(Failed, match="cannot be written") as failed:
            write_whole(folder, "text", "the page")
        assert failed.value.found == "a folder"


def test_what_is_private_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets.age"
    file.write_text("old")
    file.chmod(0o644)
    write_whole(file, "text", "the export", private=True)
    assert (stat.S_IMODE(file.stat().st_mode), file.read_text()) == (0o600, "text")
