"""The wheel as a user gets it: built from this checkout, installed into a virtual environment of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(folder: Path) -> Path:
    """Build the wheel into `folder`, with the build backend that constraints.txt pins."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("labctl-*.whl")
    return wheel


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Install the wheel and what it asks for, no more, into a new environment; returns its bin folder.

    Takes packages from the network, in the pinned versions. Without their hashes: pip takes hashed constraints only for
    requirements that are pinned themselves, and a wheel's are ranges.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pins = folder / "versions.txt"
    locked = (ROOT / "constraints.txt").read_text().splitlines()
    pins.write_text("".join(line.removesuffix("\\") + "\n" for line in locked if "--hash" not in line))
    _pip(folder, "--only-binary", ":all:", "--constraint", str(pins), str(wheel))
    return folder / "bin"


def install_wheel_alone(wheel: Path, folder: Path) -> Path:
    """Install nothing but the wheel, beside the packages these tests run with; returns the bin folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    _pip(folder, "--no-index", "--no-deps", str(wheel))
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # .pth files are read in a site-packages of one's own only: the checkout, which is installed editable there through
    # such a file, does not come along.
    neighbours = Path(pytest.__file__).parents[1]
    (site_packages / "neighbours.pth").write_text(f"{neighbours}\n")
    return folder / "bin"


def _pip(environment: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install"]
    result = subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
