"""The scripts that build a module, run by a real shell against package tools that only say what they were asked."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.hoststate.observation import Observations, PackageSeen
from labctl.hoststate.resource import Resource
from roles.container_toolkit.deploy import container_toolkit
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.cuda.deploy import cuda
from roles.cuda.settings import CudaSettings
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.packages import DriverPackages
from roles.nvidia_driver.settings import NvidiaDriverSettings
from roles.nvidia_persistence.deploy import nvidia_persistence
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings
from tests.roles.gpu_host import TWO_3090

KERNEL = "6.12.117+deb13-amd64"
OPEN = DriverPackages(
    "module", ("nvidia-open-kernel-dkms",), 550, KERNEL, builds=True, absent=("nvidia-kernel-dkms",)
)
_ERROR = "/x/nv-pci.c:291:9: error: too few arguments to function 'pci_resize_resource'"
# Each writes its name and arguments to @said@; @fails@ names the command and word that fail.
_TOOL = r"""#!/bin/sh
echo "${0##*/} $*" >>@folder@/said
case "${0##*/} $*" in
  *"install -s"*) echo "Inst @moves@ (550.163.02-1 Debian:13 [amd64])" ;;
  "apt-cache show"*) case $2 in @archive@) echo "Package: ${2%%=*}" ;; esac ;;
  dpkg-query*Version*) echo 550.163.01-2 ;;
  *download*) : >package.deb ;;
  "dpkg-deb -x"*) mkdir -p "$3/usr/src/nvidia-1"
    printf 'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="1"\n' >"$3/usr/src/nvidia-1/dkms.conf" ;;
  dpkg-query*) [ ! -e @folder@/dkms ] || echo half-configured nvidia-open-kernel-dkms ;;
esac
case "${0##*/} $*" in @fails@)
  log=@folder@/dkms/nvidia/1/build/make.log
  if [ "@built@" = yes ]; then mkdir -p "${log%/*}"; echo "@error@" >$log; fi
  exit 10 ;;
esac
"""


def body(script: str) -> str:
    """What a host's unit runs, out of the script that starts it."""
    words = shlex.split(script[script.index("printf %s '") :])
    return words[2]


def run(
    folder: Path,
    seen: Observations,
    fails: str,
    *,
    built: bool = True,
    packages: DriverPackages = OPEN,
    archive: str = "none",
    moves: str = "nvidia-open-kernel-dkms",
) -> tuple[int, str, list[str]]:
    """Exit status, output, and the commands that were run. archive: what apt can still have in an old version."""
    tool = _TOOL.replace("@archive@", archive).replace("@moves@", moves)
    tool = tool.replace("@folder@", str(folder)).replace("@fails@", fails).replace("@error@", _ERROR)
    (folder / "bin").mkdir()
    for name in ("apt-get", "apt-cache", "dpkg", "dpkg-query", "dkms", "dpkg-deb"):
        (folder / "bin" / name).write_text(tool.replace("@built@", "yes" if built else "no"))
        (folder / "bin" / name).chmod(0o755)
    text = body(packages.action(seen).script).replace("/run/labctl-apt", f"{folder}/unit")
    text = text.replace("/var/lib/dkms", f"{folder}/dkms").replace("/var/tmp/", f"{folder}/")
    path = f"{folder}/bin:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, env={"PATH": path}, check=False)
    said = folder / "said"
    return done.returncode, done.stdout + done.stderr, said.read_text().splitlines() if said.exists() else []


def nothing() -> Observations:
    return Observations(packages=dict.fromkeys(OPEN.probes().packages))


def proprietary() -> Observations:
    installed = {"nvidia-kernel-dkms": PackageSeen("installed", "550.163.01-2")}
    return Observations(packages={**nothing().packages, **installed})


def test_one_that_builds_is_installed(tmp_path: Path) -> None:
    status, _, said = run(tmp_path, nothing(), "never")
    assert status == 0
    assert [line for line in said if "purge" in line or "dkms build" in line] == []
    assert said[-1].endswith("install nvidia-open-kernel-dkms")


def test_one_that_does_not_build_is_taken_out_again_and_named(tmp_path: Path) -> None:
    status, output, said = run(tmp_path, nothing(), "*install\\ nvidia-open*")
    assert status == 1
    assert f"labctl: the kernel module does not build for {KERNEL}: nv-pci.c:291:9: error: too few" in output
    assert any(line.endswith("purge nvidia-open-kernel-dkms") for line in said)
    assert any(line.endswith("--fix-broken install") for line in said)


def test_one_that_cannot_be_fetched_is_tried_with_newer_lists(tmp_path: Path) -> None:
    status, output, said = run(tmp_path, nothing(), "*install\\ nvidia-open*", built=False)
    assert status == 1
    assert "cannot be installed" in output
    assert not any("purge" in line for line in said)
    assert [line.rsplit(" ", 1)[1] for line in said if line.startswith("apt-get")][1] == "update"


def test_beside_another_one_it_is_built_first(tmp_path: Path) -> None:
    status, output, said = run(tmp_path, proprietary(), "never")
    assert status == 0, output
    built = next(n for n, line in enumerate(said) if line.startswith("dkms build -m nvidia -v 1"))
    replaced = next(
        n
        for n, line in enumerate(said)
        if line.endswith(" install nvidia-open-kernel-dkms nvidia-kernel-dkms-")
    )
    assert built < replaced
    assert list(tmp_path.glob("labctl-trial*")) == []


def test_one_that_does_not_build_leaves_the_other_one_alone(tmp_path: Path) -> None:
    status, output, said = run(tmp_path, proprietary(), "dkms\\ build*")
    assert status == 1
    assert "does not build" in output
    assert installs(said) == ["dkms"]
    assert [line for line in said if "purge" in line] == []
    assert list(tmp_path.glob("labctl-trial*")) == []


REST = DriverPackages("rest", ("nvidia-smi", "libcuda1"), 550, KERNEL, modules=OPEN.present)


def installed(*names: str) -> Observations:
    names_and_none = dict.fromkeys(OPEN.probes().packages | REST.probes().packages | {"linux-headers-amd64"})
    there = {name: PackageSeen("installed", "550.163.01-2") for name in names}
    return Observations(packages={**names_and_none, **there})


def installs(said: list[str]) -> list[str]:
    """What apt was told to install for good."""
    return [line.rpartition(" install ")[2] for line in said if " install " in line and " -s " not in line]


def test_where_headers_alone_are_missing_the_driver_is_left_alone(tmp_path: Path) -> None:
    wanted = replace(OPEN, headers=("linux-headers-amd64",))
    status, output, said = run(tmp_path, installed(*OPEN.present), "never", packages=wanted)
    assert status == 0, output
    assert installs(said) == ["linux-headers-amd64"]


def test_what_is_missing_comes_in_the_version_that_is_there(tmp_path: Path) -> None:
    seen = installed(*OPEN.present, "libcuda1")
    status, output, said = run(
        tmp_path, seen, "never", packages=REST, archive="nvidia-smi=550.163.01-2", moves="nvidia-smi"
    )
    assert status == 0, output
    assert installs(said) == ["nvidia-smi=550.163.01-2"]
    assert not any(line.startswith("dkms") for line in said)


@pytest.mark.parametrize("builds", [True, False])
def test_a_newer_module_that_comes_with_it_is_tried_first(tmp_path: Path, *, builds: bool) -> None:
    """The archive has no more of the version that is there."""
    seen = installed(*OPEN.present, "libcuda1")
    fails = "never" if builds else "dkms\\ build*"
    status, output, said = run(tmp_path, seen, fails, packages=REST)
    assert any(line.startswith("dkms build") for line in said)
    assert installs(said) == (["dkms", "nvidia-smi"] if builds else ["dkms"])
    assert (status, "does not build" in output) == ((0, False) if builds else (1, True))


@pytest.mark.parametrize("source", ["nvidia", "distribution"])
def test_every_script_is_one_that_a_shell_can_read(source: str) -> None:
    driver = NvidiaDriverSettings.model_validate({"source": source})
    wanted = [
        *nvidia_driver.role.resources(driver, TWO_3090),
        *cuda.role.resources(CudaSettings(), TWO_3090, driver),
        *nvidia_persistence.role.resources(NvidiaPersistenceSettings(), TWO_3090, driver),
        *container_toolkit.role.resources(ContainerToolkitSettings(), TWO_3090, driver),
    ]
    assert len(wanted) > 15
    for resource in wanted:
        _readable(resource)


def _readable(resource: Resource) -> None:
    probes = resource.probes()
    seen = Observations(
        files=dict.fromkeys(probes.paths),
        packages=dict.fromkeys(probes.packages),
        texts={key: "" for key, _ in probes.snippets},
    )
    scripts = [resource.action(seen).script, *(snippet for _, snippet in probes.snippets)]
    scripts += [body(script) for script in scripts if "printf %s '" in script]
    for script in scripts:
        done = subprocess.run(["sh", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{resource.name}: {done.stderr}\n{script}"
