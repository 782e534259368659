"""vagrant/Vagrantfile, as far as it can be proven without booting it."""

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VAGRANTFILE = ROOT / "vagrant" / "Vagrantfile"
# Vagrant refuses to look at a provider's settings without the provider. This stands in for VirtualBox's presence.
SIMULATED_VBOXMANAGE = "#!/bin/sh\necho 7.0.20r163906\n"


def test_the_inventory_knows_the_machine_by_its_name() -> None:
    (name,) = re.findall(r'config\.vm\.define "(\w+)"', VAGRANTFILE.read_text())
    hosts = runpy.run_path(str(ROOT / "inventory" / "vagrant.py"))["hosts"]
    assert [host for host, _ in hosts] == [name]
    assert hosts[0][1]["ssh_config_file"] == str(VAGRANTFILE.with_name("ssh-config"))


def validate(folder: Path, vagrantfile: str, provider: str) -> subprocess.CompletedProcess[str]:
    """Run `vagrant validate` on a Vagrantfile of this text; nothing of it stays."""
    (folder / "Vagrantfile").write_text(vagrantfile)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "VBoxManage").write_text(SIMULATED_VBOXMANAGE)
    (programs / "VBoxManage").chmod(0o755)
    environment = {
        **os.environ,
        "VAGRANT_HOME": str(folder / "home"),
        "VAGRANT_CHECKPOINT_DISABLE": "1",  # or it would ask its maker's server for updates
        "VAGRANT_DEFAULT_PROVIDER": provider,
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    command = ["vagrant", "validate", "--no-color"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def providers() -> list[str]:
    """The providers whose settings can be looked at here; asking `vagrant plugin list` would take a second."""
    plugins = Path.home() / ".vagrant.d" / "plugins.json"
    packaged = Path("/usr/share/vagrant-plugins/plugins.d/vagrant-libvirt.json")
    has_libvirt = packaged.exists() or (plugins.exists() and "vagrant-libvirt" in plugins.read_text())
    return ["libvirt", "virtualbox"] if has_libvirt else ["virtualbox"]


# `make test` installs Vagrant as root where the distribution has it; elsewhere there is nothing to run.
if shutil.which("vagrant"):

    @pytest.mark.parametrize("provider", providers())
    def test_vagrant_validates_it(provider: str, tmp_path: Path) -> None:
        result = validate(tmp_path, VAGRANTFILE.read_text(), provider)
        assert result.returncode == 0, result.stdout + result.stderr

    @pytest.mark.parametrize("provider", providers())
    def test_vagrant_would_see_a_misspelt_setting(provider: str, tmp_path: Path) -> None:
        planted = VAGRANTFILE.read_text().replace(f"{provider}.cpus", f"{provider}.cpuz")
        result = validate(tmp_path, planted, provider)
        assert result.returncode != 0
        assert "cpuz" in result.stdout + result.stderr
