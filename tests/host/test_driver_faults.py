"""What stands in the way of a driver is said in a line with the way out, and the host is as it was."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.deploying import pyinfra
from tests.host.driver_box import DriverBox, boot_driver_box, driver
from tests.host.gpu_box import equip
from tests.host.hosts import ThrowawayHosts
from tests.host.simulated_driver import write
from tests.host.stand_in_repository import FOLDER, StandIn, offer, publish
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_COMPILER = "nvidia.c:4:35: error: too few arguments to function"
_ENTRY = "deb https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/ /"
_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y"


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverBox]:
    """Bare at first. The tests are in the order in which they get it to a driver."""
    box = boot_driver_box(throwaway_hosts, "faults", tmp_path_factory.mktemp("faults"))
    yield box
    throwaway_hosts.destroy(box.gpu.host)


@pytest.fixture
def bare(boot_host: Callable[..., ThrowawayHost], tmp_path: Path) -> DriverBox:
    """Without headers, and with lists of packages that were never fetched."""
    return DriverBox(equip(boot_host("bare"), tmp_path, stand_ins=driver()))


@pytest.mark.parametrize(
    ("fault", "way_out", "said"),
    [
        pytest.param(
            "touch /usr/bin/nvidia-uninstall",
            "rm /usr/bin/nvidia-uninstall",
            ("NVIDIA's .run installer is there", "`sudo nvidia-uninstall`"),
            id="run-installer",
        ),
        pytest.param(
            "mount -t tmpfs -o size=40M tmpfs /boot",
            "umount /boot",
            ("/boot has 40 MiB free, a new initramfs needs", "`sudo apt-get autoremove --purge`"),
            id="full-boot",
        ),
        pytest.param(
            f"echo '{_ENTRY}' >/etc/apt/sources.list.d/cuda.list",
            "rm /etc/apt/sources.list.d/cuda.list",
            ("NVIDIA's repository for debian12, whose key is bound by SHA-1", "remove that source"),
            id="sha1-source",
        ),
    ],
)
def test_a_bad_host_is_refused_before_anything_changes(
    box: DriverBox, fault: str, way_out: str, said: tuple[str, str]
) -> None:
    box.root(fault)
    before = box.state()
    line = box.refused()
    assert all(words in line for words in said), line
    assert box.state() == before
    assert box.packages_in_order()
    box.root(way_out)


def test_plain_pyinfra_says_the_same(box: DriverBox) -> None:
    box.root("touch /usr/bin/nvidia-uninstall")
    before = box.state()
    run = pyinfra("-y", box.inventory(), "deploy/gpu_host.py")
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "NVIDIA's .run installer is there" in run.stdout + run.stderr
    assert "nvidia-uninstall" in run.stdout + run.stderr
    assert box.state() == before
    box.root("rm /usr/bin/nvidia-uninstall")


def test_an_archive_whose_key_is_bound_by_sha1_is_named(box: DriverBox) -> None:
    old = publish(box.gpu.host, "old", StandIn("nothing", "1"), sha1_bound=True)
    path = "etc/apt/sources.list.d/old.list"
    write(
        box.gpu.host,
        path,
        f"deb [signed-by={old.key_url.removeprefix('file://')}] {old.url.rstrip('/')} ./\n",
    )
    line = box.refused()
    assert "bound by SHA-1" in line
    assert old.url.rstrip("/") in line
    assert "[trusted=yes]" in line
    assert box.packages_in_order()
    box.root(f"rm /{path}")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong key", ("a repository's key is not the one that is known", "A" * 40)),
        ("sha1 key", ("bound by SHA-1, which this system refuses", "stand-in/nvidia")),
        ("broken signature", ("is not signed by a key it trusts", "stand-in/nvidia")),
    ],
)
def test_a_repository_of_nvidias_that_is_not_trusted_leaves_no_trace(
    box: DriverBox, fault: str, said: tuple[str, str]
) -> None:
    repository = publish(
        box.gpu.host, "nvidia", StandIn("nvidia-driver-cuda", "595.58.03-1"), sha1_bound=fault == "sha1 key"
    ).settings
    if fault == "wrong key":
        repository["fingerprint"] = "A" * 40
    if fault == "broken signature":
        box.root(f"sed -i 's/^Label: /Label: x/' /{FOLDER}/nvidia/InRelease")
    line = box.refused(source="nvidia", repository=repository)
    assert all(words in line for words in said), line
    assert box.root("find /etc/apt -name 'labctl-nvidia*'") == ""
    assert box.packages_in_order()


def test_a_module_that_does_not_build_leaves_a_bare_host_bare(box: DriverBox) -> None:
    """Debian's open 550 and kernel 6.12, in a stand-in."""
    line = box.refused(flavour="open")
    assert "does not build for the kernel that boots next" in line
    assert _COMPILER in line
    assert box.packages_in_order()
    assert box.modules() == ""
    assert box.root("find /lib/modules -name 'nvidia.ko*' -o -name 'nvidia-current*'") == ""
    assert box.root("find /etc/modprobe.d /etc/modules-load.d -name '*labctl*'") == ""


@pytest.mark.nightly
def test_what_dpkg_can_never_finish_is_named_with_the_compilers_word(box: DriverBox) -> None:
    box.root(f"{_INSTALL} nvidia-open-kernel-dkms", check=False)
    assert not box.packages_in_order()
    line = box.refused()
    assert (
        "can neither be finished nor repaired (found nvidia-open-kernel-dkms: nvidia.c:4:35: error:" in line
    )
    assert "`sudo apt-get purge`" in line
    box.root("apt-get -qq purge -y nvidia-open-kernel-dkms")
    assert box.packages_in_order()


def test_a_half_finished_installation_is_finished(box: DriverBox) -> None:
    """As after a power cut or a full disk: what stopped it is gone."""
    box.root(f"chmod a-x /usr/lib/dkms/common.postinst; {_INSTALL} nvidia-kernel-dkms", check=False)
    assert "half-configured" in box.root("dpkg-query -W -f '${db:Status-Status}' nvidia-kernel-dkms")
    box.root("chmod a+x /usr/lib/dkms/common.postinst")
    run = box.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert "base: package database" in run.changed(box.name)
    assert box.packages_in_order()
    assert "nvidia-current/550.163.01" in box.modules()
    assert "550.163.01" in box.root("cat /proc/driver/nvidia/version")


def test_another_flavour_that_does_not_build_leaves_the_driver_that_boots(box: DriverBox) -> None:
    line = box.refused(flavour="open")
    assert "does not build for the kernel that boots next" in line
    assert _COMPILER in line
    assert box.packages_in_order()
    box.gpu.host.reboot()
    assert "installed" in box.modules()
    loaded = box.root("cat /proc/driver/nvidia/version")
    assert "550.163.01" in loaded
    assert "Open" not in loaded
    run = box.labctl("deploy")
    assert (run.exit_code, run.changed(box.name)) == (0, set()), run.stdout


def test_a_package_that_is_held_stays_until_a_person_says_otherwise(box: DriverBox) -> None:
    offer(box.gpu.host, "driver", *driver(open_builds=True))
    box.root("apt-mark hold nvidia-kernel-dkms; apt-get -qq update")
    before = box.state()
    line = box.refused(flavour="open")
    assert "apt holds nvidia-kernel-dkms" in line
    assert "`sudo apt-mark unhold nvidia-kernel-dkms`" in line
    assert box.state() == before
    box.root("apt-mark unhold nvidia-kernel-dkms")


@pytest.mark.nightly
def test_a_driver_of_another_flavour_takes_its_place(box: DriverBox) -> None:
    offer(box.gpu.host, "driver", *driver(open_builds=True))
    box.root("apt-get -qq update")
    assert box.labctl("deploy").exit_code == 0
    assert "Open" not in box.root("cat /proc/driver/nvidia/version")
    run = box.labctl("deploy", flavour="open")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert "Open Kernel Module" in box.root("cat /proc/driver/nvidia/version")
    assert box.packages_in_order()


def test_no_headers_for_the_kernel_that_boots_next(bare: DriverBox) -> None:
    """The machine's own kernel, of which Debian's archive has none."""
    for known_to_apt in (False, True):
        line = bare.refused()
        assert "no headers for" in line, known_to_apt
        assert "neither here nor in apt" in line
        assert "apt-get full-upgrade`, reboot into the newest kernel" in line
        assert bare.packages_in_order()
        assert bare.modules() == ""


@pytest.mark.nightly
def test_headers_that_are_there_are_enough(bare: DriverBox) -> None:
    """Of the newest kernel, as Debian's own package of them brings them."""
    bare.gpu.host.console_run(
        f"apt-get -qq update; {_INSTALL} --no-install-recommends linux-headers-amd64", timeout_s=900
    )
    run = bare.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert "nvidia-current/550.163.01" in bare.modules()
