"""A bare host with two simulated cards becomes a GPU host: the distribution's real driver, really built."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.host.deploying import Run
from tests.host.gpu_box import LIMITED, LIMITS, UNFINISHED, GpuBox, boot_gpu_box, preflight_again
from tests.host.hosts import ThrowawayHosts
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuBox]:
    box = boot_gpu_box(throwaway_hosts, "gpuhost", tmp_path_factory.mktemp("gpuhost"))
    yield box
    throwaway_hosts.destroy(box.host)


@dataclass(frozen=True)
class Driven:
    """The first deploy of all of it: what a check said before, what it did, and how the host was booted before it."""

    said: Run
    run: Run
    boot_before: str


@pytest.fixture(scope="module")
def driven(box: GpuBox) -> Driven:
    boot = box.host.boot_id()
    said = box.labctl("check")
    run = box.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    return Driven(said, run, boot)


def test_what_cannot_be_is_refused_before_anything_changes(box: GpuBox) -> None:
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
def test_a_module_that_does_not_build_ends_the_deploy_and_leaves_dpkg_in_order(box: GpuBox) -> None:
    """Debian's open 550 and its kernel 6.12 do not fit together."""
    run = box.labctl("deploy", nvidia_driver={"flavour": "open"})
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "does not build for the kernel that boots next" in run.stdout
    assert "error:" in run.stdout
    assert box.root(UNFINISHED) == ""
    assert box.root("apt-get -qq check 2>&1") == ""
    assert box.root("dkms status") == ""


def test_the_deploy_brings_the_driver_about_and_loads_it(box: GpuBox, driven: Driven) -> None:
    name = box.host.name
    assert set(driven.said.pending(name, "certain")) <= driven.run.changed(name)
    assert driven.run.changed(name) <= set(driven.said.pending(name))
    assert box.has_module_for_next_boot()
    assert box.host.boot_id() != driven.boot_before
    assert "550.163.01" in box.root("cat /proc/driver/nvidia/version")
    described = box.root("cat /etc/cdi/nvidia.yaml")
    assert uuid_of(0) in described
    assert uuid_of(1) in described
    assert box.root(LIMITS) == LIMITED


@pytest.mark.usefixtures("driven")
def test_cuda_12_compiles(box: GpuBox) -> None:
    assert "release 12." in box.root(". /etc/profile; nvcc --version")
    compiled = box.root(
        "cd /tmp && echo 'int main() { int n; return (int) cudaGetDeviceCount(&n); }' >count.cu"
        " && . /etc/profile && nvcc -o count count.cu && ls count"
    )
    assert compiled == "count"


@pytest.mark.usefixtures("driven")
def test_the_second_run_changes_nothing_and_all_checks_pass(box: GpuBox) -> None:
    second = box.labctl("deploy")
    assert (second.exit_code, second.changed(box.host.name)) == (0, set()), second.stdout
    found = preflight_again(box.host, "distribution")
    assert found.decision
    assert (found.decision.in_place, found.obstacles) == (True, ())
    verified = box.labctl("verify")
    assert verified.exit_code == 0, verified.stdout


@pytest.mark.usefixtures("driven")
def test_it_is_all_still_so_after_a_reboot(box: GpuBox) -> None:
    box.host.reboot()
    box.host.wait_running()
    assert box.root(LIMITS) == LIMITED
    check = box.labctl("check")
    assert check.exit_code == 0, check.stdout
    verified = box.labctl("verify")
    assert verified.exit_code == 0, verified.stdout


@pytest.mark.nightly
@pytest.mark.usefixtures("driven")
def test_what_is_changed_by_hand_is_drift(box: GpuBox) -> None:
    box.root("sed -i '/GPU-/d' /etc/cdi/nvidia.yaml; nvidia-smi -pm 0; nvidia-smi -pl 300")
    check = box.labctl("check")
    assert check.pending(box.host.name) == {
        "nvidia_persistence: persistence mode": "drift",
        "container_toolkit: CDI devices": "drift",
        "gpu_power: limits in force": "drift",
    }
    assert box.labctl("verify").exit_code == 3
    assert box.labctl("deploy").exit_code == 0
    assert box.labctl("verify").exit_code == 0


@pytest.mark.nightly
@pytest.mark.usefixtures("driven")
def test_another_flavour_that_does_not_build_leaves_the_driver_that_boots(box: GpuBox) -> None:
    run = box.labctl("deploy", nvidia_driver={"flavour": "open"})
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "does not build for the kernel that boots next" in run.stdout
    assert box.root(UNFINISHED) == ""
    assert "installed" in box.root("dkms status")
    assert box.labctl("deploy").exit_code == 0
