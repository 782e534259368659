"""The driver's module is found under whatever name its packager gave the file."""

import subprocess
from pathlib import Path

import pytest

from labctl.driver.survey import NVIDIA_MODULE
from labctl.hoststate.observation import Observations
from labctl.hoststate.reboot import REBOOT
from roles.nvidia_driver.module import LoadedModule, module_state

KERNEL = "6.12.117+deb13-amd64"
# As kmod's: silent and unsuccessful for a module that is not there.
_MODINFO = """#!/bin/sh
# modinfo -k KERNEL NAME
[ "$2" = '{kernel}' ] && [ "$3" = '{name}' ] || {{ echo "modinfo: ERROR: Module $3 not found." >&2; exit 1; }}
echo "filename:       /lib/modules/$2/updates/dkms/$3.ko.xz"
echo 'alias:          char-major-195-*'
echo 'version:        550.163.01'
echo 'license:        {license}'
echo 'srcversion:     5B4DA2BF0DAA4F1F4A3E6A4'
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
    both = f"{NVIDIA_MODULE}nvidia_module {KERNEL}"
    assert asked(tmp_path, name, license_, both) == f"550.163.01|{license_}\n"
    state = asked(tmp_path, name, license_, module_state(KERNEL)).splitlines()
    assert state[0] == f"installed 550.163.01 {flavour}"


def test_another_vendors_module_is_none(tmp_path: Path) -> None:
    assert asked(tmp_path, "nvidiafb", "GPL", f"{NVIDIA_MODULE}nvidia_module {KERNEL}") == ""
    assert asked(tmp_path, "nvidiafb", "GPL", module_state(KERNEL)).splitlines()[0] == "installed"


def test_a_module_that_secure_boot_refuses_is_said_and_not_rebooted_for(tmp_path: Path) -> None:
    script = LoadedModule(KERNEL, ("nvidia-kernel-dkms",)).action(Observations()).script
    for name, text in (
        ("uname", f"echo {KERNEL}"),
        (
            "modprobe",
            "echo \"modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\" >&2; exit 1",
        ),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script.replace(REBOOT, "echo reboots")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.returncode == 1
    assert "Secure Boot" in done.stdout
    assert "reboots" not in done.stdout
