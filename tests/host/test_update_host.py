"""`labctl update host`: kernel and driver of a host move together, or stay as they are.

The kernels are stand-ins, and so is the driver; dkms, apt and dpkg are the real ones.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import stand_in_driver, stand_in_kernel
from tests.host.deploying import Run, labctl
from tests.host.gpu_box import UNFINISHED, GpuBox, equip, install_headers
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_driver import kernel_module, libraries
from tests.host.stand_in_kernel import debian_kernel
from tests.host.stand_in_repository import StandIn, offer
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

OLD, FAULTY, STUCK, NEW = (f"6.12.90{number}+deb13-amd64" for number in range(4))
OLD_DRIVER, NEW_DRIVER = "550.163.01", "550.163.02"
_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends"
_MOVED = ("linux-image-amd64", "linux-headers-amd64", "nvidia-kernel-dkms", "libcuda1")


def driver(version: str) -> tuple[StandIn, ...]:
    return (kernel_module(version=version), *libraries(version))


class UpdateBox(GpuBox):
    """A host whose archive offers kernels and drivers."""

    @property
    def real(self) -> str:
        """The release of the headers that modules are built with."""
        return self.root("ls -v /usr/src | sed -n 's/^linux-headers-\\(.*-amd64\\)$/\\1/p' | tail -n 1")

    def offers(self, kernel: tuple[StandIn, ...], *versions: str) -> None:
        """From now on the archive has this kernel, and the driver in these versions."""
        offer(self.host, "driver", *kernel, *(each for version in versions for each in driver(version)))

    def update(self, **data: dict[str, object]) -> Run:
        """Move what there is to move."""
        return labctl("update", "host", self.inventory(**data), "--yes", "--json", timeout_s=1800)

    def state(self) -> str:
        """What must be as it was when nothing has moved. A stand-in leaves its initramfs behind, without a kernel."""
        return self.root(
            "dpkg-query -W; apt-mark showmanual; dkms status; ls /boot/vmlinuz-* /lib/modules/*/updates/dkms; "
            f"cat /proc/driver/nvidia/version; {UNFINISHED}"
        )

    def failure(self, run: Run) -> str:
        """Why the one operation that failed did, and that it is one line."""
        assert run.exit_code == 1, run.stdout + run.stderr
        (failed,) = [each for each in run.host(self.host.name)["operations"] if each["status"] == "failed"]
        assert failed["name"] == "kernel and driver"
        assert "\n" not in failed["output"][0]
        return str(failed["output"][0])


def _prepare(host: ThrowawayHost) -> None:
    """The old kernel and the old driver, both of which the archive still has."""
    install_headers(host)
    box = UpdateBox(host, Path())
    box.offers(debian_kernel(OLD, box.real), OLD_DRIVER)
    # The headers that a stand-in's kernel builds with came by a metapackage, too.
    mark = f"apt-mark auto linux-headers-{box.real} >/dev/null"
    host.run(f"apt-get -qq update && {_INSTALL} {' '.join(_MOVED)} && {mark}", sudo=True, timeout_s=900)


def _key() -> str:
    files = (stand_in_driver.__file__, stand_in_kernel.__file__)
    return f"{_INSTALL} {_MOVED} " + "".join(Path(file).read_text() for file in files)


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpdateBox]:
    layer = throwaway_hosts.cached_layer("kernel-and-driver", _key(), _prepare)
    folder = tmp_path_factory.mktemp("updated")
    host = equip(throwaway_hosts.boot("updated", layer=layer), folder).host
    yield UpdateBox(host, folder, {"nvidia_driver": {"in_container": True}})
    throwaway_hosts.destroy(host)


def test_a_host_that_is_up_to_date_is_left_alone(box: UpdateBox) -> None:
    before = box.state()
    assert OLD_DRIVER in before
    run = box.update()
    assert (run.exit_code, run.changed("updated")) == (0, set()), run.stdout + run.stderr
    assert box.state() == before


def test_a_module_that_does_not_build_leaves_everything_as_it_is(box: UpdateBox) -> None:
    box.offers(debian_kernel(FAULTY, box.real, builds=False), NEW_DRIVER)
    before, boot = box.state(), box.host.boot_id()
    assert stand_in_kernel.FAULT in box.failure(box.update())
    assert box.state() == before
    assert box.host.boot_id() == boot
    assert box.root("apt-get -qq check 2>&1; ls -d /var/tmp/labctl-trial* 2>/dev/null || true") == ""


@pytest.mark.nightly
def test_what_cannot_be_finished_is_taken_back(box: UpdateBox) -> None:
    box.offers(debian_kernel(STUCK, box.real, installs=False), OLD_DRIVER, NEW_DRIVER)
    before, boot = box.state(), box.host.boot_id()
    assert "kernel and driver did not move" in box.failure(box.update())
    assert box.state() == before
    assert box.host.boot_id() == boot
    assert box.root("apt-get -qq check 2>&1") == ""


def test_kernel_and_driver_move_together_and_run(box: UpdateBox) -> None:
    box.offers(debian_kernel(NEW, box.real), NEW_DRIVER)
    manual, boot = box.root("apt-mark showmanual"), box.host.boot_id()
    run = box.update()
    assert run.exit_code == 0, run.stdout + run.stderr
    assert run.changed("updated") == {"host_update: kernel and driver", "host_update: reboot"}
    assert box.host.boot_id() != boot
    versions = box.root(f"for p in {' '.join(_MOVED)}; do dpkg-query -W -f '${{Version}} ' $p; done")
    assert versions.split() == [
        *["6.12.903-1+standin1"] * 2,
        *[NEW_DRIVER + stand_in_driver.REVISION] * 2,
    ]
    assert f"{NEW_DRIVER}, {NEW}, x86_64: installed" in box.root("dkms status")
    assert NEW_DRIVER in box.root("cat /proc/driver/nvidia/version")
    assert box.root(f"ls /boot/vmlinuz-{OLD} /boot/vmlinuz-{NEW} | wc -l") == "2"
    assert box.root(UNFINISHED) == ""
    # A kernel that counts as asked for by hand is never removed again, and /boot runs full.
    assert box.root("apt-mark showmanual") == manual

    before = box.state()
    again = box.update()
    assert (again.exit_code, again.changed("updated")) == (0, set()), again.stdout + again.stderr
    assert box.state() == before
