"""A bare host with two simulated cards becomes a GPU host: the distribution's real driver, really built."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.edges.rigs import read_rig
from labctl.rig.rig import Host
from tests.host import simulated_driver
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_repository import TOOLKIT, publish
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.build import build
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

_DEPLOY_TIMEOUT_S = 1800
_HEADERS = (
    "sed -i '/^Components:/s/$/ contrib non-free non-free-firmware/' /etc/apt/sources.list.d/debian.sources && "
    "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "
    "linux-headers-amd64 >/dev/null && sed -i '/^Components:/s/ contrib.*//' /etc/apt/sources.list.d/debian.sources && "
    "rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/*.labctl.save"
)
_DPKG_UNFINISHED = (
    "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' | grep -vE '^(installed|config-files) ' || true"
)


def _prepare(host: ThrowawayHost) -> None:
    host.run(_HEADERS, sudo=True, timeout_s=900)


@pytest.fixture(scope="module")
def cards() -> Host:
    return read_rig(str(CHECKOUT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]


class Box:
    """The host, and what its inventory says."""

    def __init__(self, host: ThrowawayHost, folder: Path) -> None:
        self.host = host
        self._folder = folder
        repository = publish(host, "container-toolkit", TOOLKIT)
        self.settings: dict[str, Any] = {
            "nvidia_driver": {"source": "distribution", "in_container": True},
            "container_toolkit": {"repository": repository.settings},
        }

    def labctl(self, verb: str, *options: str, **data: dict[str, Any]) -> Run:
        """Run it with `data` laid over the settings."""
        merged = {key: {**self.settings.get(key, {}), **data.get(key, {})} for key in {*self.settings, *data}}
        inventory = write_inventory(self._folder / "home.py", self.host, **merged)
        return labctl(verb, inventory, "--json", *options, timeout_s=_DEPLOY_TIMEOUT_S)

    def root(self, command: str) -> str:
        return self.host.console_run(command).stdout.strip()


@pytest.fixture(scope="module")
def box(
    throwaway_hosts: ThrowawayHosts, cards: Host, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    layer = throwaway_hosts.cached_layer("kernel-headers", _HEADERS, _prepare)
    host = throwaway_hosts.boot("gpuhost", layer=layer)
    simulated_driver.plug_in(host, cards, build(tmp_path_factory.mktemp("nvml")).read_bytes())
    yield Box(host, tmp_path_factory.mktemp("inventory"))
    throwaway_hosts.destroy(host)


@dataclass(frozen=True)
class Driven:
    """The first deploy of all of it: what a check said before, what it did, and how the host was booted before it."""

    said: Run
    run: Run
    boot_before: str


@pytest.fixture(scope="module")
def driven(box: Box) -> Driven:
    boot = box.host.boot_id()
    said = box.labctl("check")
    run = box.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    return Driven(said, run, boot)


def test_what_cannot_be_is_refused_before_anything_changes(box: Box) -> None:
    before = box.root("stat -c %Y /var/lib/dpkg/status /etc/apt/sources.list.d")
    for asked, words in (
        ({"branch": 470}, "no driver 470"),
        ({"flavour": "open", "branch": 535}, "535"),
    ):
        run = box.labctl("deploy", nvidia_driver=asked)
        assert run.exit_code == 1, run.stdout + run.stderr
        assert words in run.stdout
    assert box.root("stat -c %Y /var/lib/dpkg/status /etc/apt/sources.list.d") == before
    assert box.host.run("test -e /var/lib/labctl/receipt.json", check=False).returncode == 1


@pytest.mark.nightly
def test_a_module_that_does_not_build_ends_the_deploy_and_leaves_dpkg_in_order(box: Box) -> None:
    """Debian's open 550 and its kernel 6.12 do not fit together."""
    run = box.labctl("deploy", nvidia_driver={"flavour": "open"})
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "does not build for the kernel that boots next" in run.stdout
    assert "error:" in run.stdout
    assert box.root(_DPKG_UNFINISHED) == ""
    assert box.root("apt-get -qq check 2>&1") == ""
    assert box.root("dkms status") == ""


def test_the_deploy_brings_the_driver_about_and_loads_it(box: Box, driven: Driven) -> None:
    name = box.host.name
    assert set(driven.said.pending(name, "certain")) <= driven.run.changed(name)
    assert driven.run.changed(name) <= set(driven.said.pending(name))
    assert "installed" in box.root("dkms status")
    assert box.host.boot_id() != driven.boot_before
    assert "550.163.01" in box.root("cat /proc/driver/nvidia/version")
    described = box.root("cat /etc/cdi/nvidia.yaml")
    assert uuid_of(0) in described
    assert uuid_of(1) in described


@pytest.mark.usefixtures("driven")
def test_cuda_12_compiles(box: Box) -> None:
    assert "release 12." in box.root(". /etc/profile; nvcc --version")
    compiled = box.root(
        "cd /tmp && echo 'int main() { int n; return (int) cudaGetDeviceCount(&n); }' >count.cu"
        " && . /etc/profile && nvcc -o count count.cu && ls count"
    )
    assert compiled == "count"


@pytest.mark.usefixtures("driven")
def test_the_second_run_changes_nothing_and_all_checks_pass(box: Box) -> None:
    second = box.labctl("deploy")
    assert (second.exit_code, second.changed(box.host.name)) == (0, set()), second.stdout
    verified = box.labctl("verify")
    assert verified.exit_code == 0, verified.stdout


@pytest.mark.usefixtures("driven")
def test_it_is_all_still_so_after_a_reboot(box: Box) -> None:
    box.host.reboot()
    box.host.wait_running()
    check = box.labctl("check")
    assert check.exit_code == 0, check.stdout
    verified = box.labctl("verify")
    assert verified.exit_code == 0, verified.stdout


@pytest.mark.usefixtures("driven")
def test_what_is_changed_by_hand_is_drift(box: Box) -> None:
    box.root("sed -i '/GPU-/d' /etc/cdi/nvidia.yaml; nvidia-smi -pm 0")
    check = box.labctl("check")
    assert check.pending(box.host.name) == {
        "nvidia_persistence: persistence mode": "drift",
        "container_toolkit: CDI devices": "drift",
    }
    assert box.labctl("verify").exit_code == 3
    assert box.labctl("deploy").exit_code == 0
    assert box.labctl("verify").exit_code == 0


@pytest.mark.nightly
@pytest.mark.usefixtures("driven")
def test_another_flavour_that_does_not_build_leaves_the_driver_that_boots(box: Box) -> None:
    run = box.labctl("deploy", nvidia_driver={"flavour": "open"})
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "does not build for the kernel that boots next" in run.stdout
    assert box.root(_DPKG_UNFINISHED) == ""
    assert "installed" in box.root("dkms status")
    assert box.labctl("deploy").exit_code == 0
