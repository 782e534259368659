"""The survey: one script for every kind of probe, and an answer that is whole or an error."""

import subprocess
from pathlib import Path

import pytest

from labctl.errors import Failed
from labctl.hoststate import survey
from labctl.hoststate.survey import Probes


def _answer(probes: Probes) -> str:
    return subprocess.run(
        ["sh", "-c", survey.script(probes)], capture_output=True, text=True, check=True
    ).stdout


def test_every_kind_of_probe_in_one_command(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello\n")
    (tmp_path / "folder").mkdir()
    paths = {str(tmp_path / "file"), str(tmp_path / "folder"), str(tmp_path / "none")}
    probes = Probes(frozenset(paths), snippets=(("two words", "echo one; echo two"), ("fails", "false")))
    seen = survey.parse(probes, _answer(probes))
    file, folder = seen.files[str(tmp_path / "file")], seen.files[str(tmp_path / "folder")]
    assert file is not None
    assert folder is not None
    assert file.sha256 == "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    assert (file.kind, folder.kind, folder.sha256) == ("regular file", "directory", None)
    assert seen.files[str(tmp_path / "none")] is None
    assert seen.texts == {"two words": "one\ntwo\n", "fails": ""}


def test_an_answer_that_ends_early_is_an_error(tmp_path: Path) -> None:
    probes = Probes(frozenset({str(tmp_path)}), snippets=(("a", "echo x"),))
    whole = _answer(probes)
    for length in range(0, len(whole) - 5, 7):
        with pytest.raises(Failed, match="did not finish"):
            survey.parse(probes, whole[:length])


def test_what_a_probe_prints_cannot_pass_for_the_frame() -> None:
    honest = Probes(snippets=(("a", "echo x"),))
    frame = survey.script(honest).splitlines()[1].removeprefix("echo ")
    lying = Probes(snippets=(("a", f"echo '{frame}'; echo forged"),))
    assert survey.parse(lying, _answer(lying)).texts["a"] == f"{frame}\nforged\n"


def test_units_are_read_as_systemctl_prints_them() -> None:
    probes = Probes(units=frozenset({"a.service", "b.service"}))
    mark = survey.script(probes).splitlines()[1].removeprefix("echo ").removesuffix(" units")
    text = (
        f"{mark} units\nId=a.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
        "NeedDaemonReload=no\nActiveEnterTimestamp=Sat 2026-11-21 02:54:17.250000 UTC\n\n"
        f"Id=b.service\nLoadState=not-found\nActiveState=inactive\nActiveEnterTimestamp=\n{mark} end\n"
    )
    units = survey.parse(probes, text).units
    assert units["a.service"].active
    assert units["a.service"].active_since == 1795229657.25
    assert units["b.service"].active_since is None
    assert units["b.service"].load_state == "not-found"


def test_a_package_that_was_removed_but_left_its_configuration_is_not_installed() -> None:
    probes = Probes(packages=frozenset({"a", "b", "c"}))
    mark = survey.script(probes).splitlines()[1].removeprefix("echo ").removesuffix(" packages")
    text = f"{mark} packages\na|installed|1\nb|config-files|2\n{mark} end\n"
    packages = survey.parse(probes, text).packages
    assert [name for name, package in packages.items() if package and package.installed] == ["a"]
    assert packages["c"] is None
