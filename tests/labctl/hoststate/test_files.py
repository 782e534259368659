"""Files and directories: compared, written by running the very script a host would run, compared again."""

import getpass
import grp
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.hoststate import survey
from labctl.hoststate.files import Directory, File, Files
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Pending, Resource

_OWNER, _GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


def _file(path: Path, content: str | None, mode: str = "644") -> File:
    return File(str(path), content, mode, _OWNER, _GROUP)


def _observe(resource: Resource) -> Observations:
    script = survey.script(resource.probes())
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return survey.parse(resource.probes(), done.stdout)


def _run(action: Action) -> subprocess.CompletedProcess[str]:
    stdin = "".join(line + "\n" for line in action.stdin)
    return subprocess.run(
        ["sh", "-c", action.script], input=stdin, capture_output=True, text=True, check=False
    )


def _reason(resource: Resource) -> str | None:
    difference = resource.compare(_observe(resource), Pending())
    return difference.reason if difference else None


def _converge(resource: Resource) -> None:
    done = _run(resource.action(_observe(resource)))
    assert done.returncode == 0, done.stderr
    assert _reason(resource) is None


def test_a_tree_is_written_and_then_nothing_is_left_to_do(tmp_path: Path) -> None:
    tree = Files(
        "tree",
        (
            _file(tmp_path / "etc" / "deep" / "one.conf", "one\n"),
            _file(tmp_path / "two", "", "600"),
            _file(tmp_path / "script", "#!/bin/sh\necho \"$1\" 'quoted' \\ back\n", "755"),
        ),
        (Directory(str(tmp_path / "folder"), "750", _OWNER, _GROUP),),
    )
    _converge(tree)
    assert (tmp_path / "etc" / "deep" / "one.conf").read_text() == "one\n"
    assert (tmp_path / "script").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755, "parents are readable whatever the umask"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_text("other"), "content differs"),
        (lambda path: path.chmod(0o600), "mode 600, not 644"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "is a symbolic link"),
        (lambda path: Path(f"{path}.labctl-new").write_text("half"), "left by an interrupted run"),
    ],
    ids=["edited", "mode", "removed", "link", "interrupted"],
)
def test_each_way_a_file_can_differ_is_seen_named_and_mended(
    tmp_path: Path, spoil: object, reason: str
) -> None:
    path = tmp_path / "file"
    wanted = Files("one", (_file(path, "content\n"),))
    _converge(wanted)
    assert callable(spoil)
    spoil(path)
    assert reason in (_reason(wanted) or "")
    _converge(wanted)
    assert path.read_text() == "content\n"
    assert not path.is_symlink()


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    wanted = Files("two", (_file(tmp_path / "a", "a"), _file(tmp_path / "b", "b")))
    _converge(wanted)
    untouched = (tmp_path / "a").stat().st_ino
    (tmp_path / "b").write_text("changed")
    assert wanted.will_change(_observe(wanted)).paths == {str(tmp_path / "b")}
    _converge(wanted)
    assert (tmp_path / "a").stat().st_ino == untouched


def test_a_file_that_must_not_exist_goes(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    wanted = Files("gone", (_file(tmp_path / "old", None),))
    assert _reason(wanted) == f"{tmp_path}/old should not exist"
    _converge(wanted)
    assert not (tmp_path / "old").exists()


def test_nothing_is_renamed_into_place_when_a_validation_fails(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    wanted = Files(
        "both", (_file(good, "new"), _file(bad, "wrong")), validate=((str(bad), 'grep -q right "$1"'),)
    )
    assert _run(wanted.action(_observe(wanted))).returncode != 0
    assert not good.exists()
    assert not bad.exists()


def test_a_directory_where_a_file_is_wanted_is_not_destroyed(tmp_path: Path) -> None:
    (tmp_path / "name").mkdir()
    (tmp_path / "name" / "precious").write_text("keep")
    done = _run(
        Files("one", (_file(tmp_path / "name", "x"),)).action(
            _observe(Files("one", (_file(tmp_path / "name", "x"),)))
        )
    )
    assert done.returncode != 0
    assert "move it away" in done.stderr
    assert (tmp_path / "name" / "precious").read_text() == "keep"


def test_contents_stay_off_the_command_line_and_out_of_repr(tmp_path: Path) -> None:
    wanted = Files("secret", (_file(tmp_path / "key", "canary-7f3a", "600"),))
    action = wanted.action(_observe(wanted))
    assert "canary" not in action.script
    assert "canary" not in repr(action)
    assert "canary" not in repr(wanted)
    assert "canary" not in wanted.digest()


def test_the_digest_speaks_of_what_is_wanted_only(tmp_path: Path) -> None:
    one = Files("x", (_file(tmp_path / "a", "1"),))
    before = one.digest()
    _converge(one)
    assert one.digest() == before
    assert Files("x", (_file(tmp_path / "a", "2"),)).digest() != before
    assert Files("x", (_file(tmp_path / "a", "1", "600"),)).digest() != before


_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\x00\n\r"),
    min_size=1,
    max_size=20,
)


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(_NAMES.filter(lambda n: n not in (".", "..")), min_size=1, max_size=3, unique=True),
    content=st.text(max_size=200),
)
def test_any_name_and_content_converges(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], content: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    encodable = content.encode("utf-8", "ignore").decode()
    _converge(Files("any", tuple(_file(folder / ("x" + name), encodable) for name in names)))
    assert {path.name for path in folder.iterdir()} == {"x" + name for name in names}
