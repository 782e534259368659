"""The installed package: what is in it, what is not, and that it starts in an empty folder."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from labctl import __version__
from tests.wheel import ROOT, build_wheel, install_wheel, install_wheel_alone


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_it_carries_roles_and_deploys_inside_the_package_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "labctl",
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info",
    }
    for folder in ("roles", "deploy"):
        carried = {
            name.removeprefix("labctl/bundled/")
            for name in names
            if name.startswith(f"labctl/bundled/{folder}/")
        }
        present = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert carried == {name for name in present if "__pycache__" not in name}


def test_it_carries_every_file_of_the_package(wheel: Path) -> None:
    """Data and templates too."""
    names = zipfile.ZipFile(wheel).namelist()
    present = {str(path.relative_to(ROOT)) for path in (ROOT / "labctl").rglob("*") if path.is_file()}
    assert {name for name in present if "__pycache__" not in name} - set(names) == set()
    assert "labctl/cli/templates/place.html.j2" in names


def test_it_starts_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    programs = install_wheel_alone(wheel, tmp_path / "environment")
    empty = tmp_path / "empty"
    empty.mkdir()
    said = subprocess.run(
        [programs / "labctl", "--version"], cwd=empty, capture_output=True, text=True, check=True
    )
    assert said.stdout == f"labctl {__version__}\n"
    where = subprocess.run(
        [programs / "python", "-c", "import labctl; print(labctl.__file__)"],
        cwd=empty,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout).is_relative_to(tmp_path)


def test_the_package_is_complete_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Bad input is found by pyinfra's inventory code, inside the driver process: all of it must be there."""
    programs = install_wheel_alone(wheel, tmp_path / "environment")
    (tmp_path / "home.py").write_text("hosts = []\n")
    result = subprocess.run(
        [programs / "labctl", "check", "home.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("labctl: home.py: ")


@pytest.mark.host
def test_it_asks_for_all_it_imports(wheel: Path, tmp_path: Path) -> None:
    """The environment of the other tests has more than a wheel asks for. From the network, so not in the fast loop."""
    programs = install_wheel(wheel, tmp_path / "environment")
    code = (
        "import pkgutil, importlib, labctl\n"
        "for module in pkgutil.walk_packages(labctl.__path__, 'labctl.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    subprocess.run([programs / "python", "-c", code], cwd=tmp_path, check=True)
