"""The driver's module is found under whatever name its packager gave the file."""

import subprocess
from pathlib import Path

import pytest

from labctl.driver.survey import NVIDIA_MODULE
from roles.nvidia_driver.module import module_state

KERNEL = "6.12.117+deb13-amd64"
# As kmod's: silent and unsuccessful for a module that is not there.
_MODINFO = """#!/bin/sh
# modinfo -k KERNEL -F FIELD NAME
[ "$2" = '{kernel}' ] && [ "$5" = '{name}' ] || {{ echo "modinfo: ERROR: Module $5 not found." >&2; exit 1; }}
case $4 in version) echo 550.163.01 ;; license) echo '{license}' ;; esac
"""


def asked(folder: Path, name: str, license_: str, script: str) -> str:
    modinfo = folder / "modinfo"
    modinfo.write_text(_MODINFO.format(kernel=KERNEL, name=name, license=license_))
    modinfo.chmod(0o755)
    path = f"{folder}:/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env={"PATH": path}
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("name", "license_", "flavour"),
    [
        ("nvidia", "NVIDIA", "proprietary"),
        ("nvidia", "Dual MIT/GPL", "open"),
        ("nvidia-current", "NVIDIA", "proprietary"),
        ("nvidia-current-open", "Dual MIT/GPL", "open"),
    ],
)
def test_version_and_flavour(tmp_path: Path, name: str, license_: str, flavour: str) -> None:
    field = f"{NVIDIA_MODULE}nvidia_module {KERNEL} version"
    assert asked(tmp_path, name, license_, field) == "550.163.01\n"
    state = asked(tmp_path, name, license_, module_state(KERNEL)).splitlines()
    assert state[0] == f"installed 550.163.01 {flavour}"


def test_another_vendors_module_is_none(tmp_path: Path) -> None:
    assert asked(tmp_path, "nvidiafb", "GPL", f"{NVIDIA_MODULE}nvidia_module {KERNEL} version") == ""
    assert asked(tmp_path, "nvidiafb", "GPL", module_state(KERNEL)).splitlines()[0] == "installed"
