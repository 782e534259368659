"""The names of packages, and when what is there is already what is wanted."""

from dataclasses import replace

import pytest

from labctl.driver.decision import Decision, Request
from labctl.driver.host import DriverHost, Kernel, Package
from labctl.driver.table import Flavour
from labctl.edges.preflights import decide
from tests.labctl.driver.hosts import device, host, with_packages

ANYTHING = Request()


def decision(machine: DriverHost, request: Request = ANYTHING) -> Decision:
    found = decide(machine, request).decision
    assert found
    return found


@pytest.mark.parametrize(
    ("release", "metas", "module"),
    [
        ("6.8.0-88-generic", ("generic",), "generic"),
        ("6.14.0-35-generic", ("generic-hwe-24.04",), "generic-hwe-24.04"),
        ("6.14.0-35-generic", ("generic", "generic-hwe-24.04"), "generic-hwe-24.04"),
        ("6.8.0-88-lowlatency", ("generic", "lowlatency"), "lowlatency"),
        ("6.8.0-1030-aws", ("aws",), "aws"),
        ("6.8.0-88-generic", (), "6.8.0-88-generic"),
    ],
)
def test_signed_modules_follow_the_kernels_metapackage(
    release: str, metas: tuple[str, ...], module: str
) -> None:
    machine = replace(
        host(device("rtx-3090"), system=("ubuntu", "24.04")),
        next_boot=Kernel(release, "missing"),
        kernel_packages=metas,
    )
    found = decision(machine, Request(source="distribution"))
    assert found.packages[0] == f"linux-modules-nvidia-580-server-open-{module}"
    assert found.headers == ()


@pytest.mark.parametrize(
    ("release", "metas", "headers"),
    [
        ("6.12.107+deb13-amd64", ("amd64",), ("linux-headers-6.12.107+deb13-amd64", "linux-headers-amd64")),
        ("6.12.107+deb13-cloud-amd64", ("cloud-amd64",), ("linux-headers-cloud-amd64",)),
        ("6.18.3-hand-made", (), ()),
    ],
)
def test_headers_are_those_of_the_kernel_and_of_its_successors(
    release: str, metas: tuple[str, ...], headers: tuple[str, ...]
) -> None:
    machine = replace(
        host(device("rtx-3090"), system=("debian", "13")),
        next_boot=Kernel(release, "installed"),
        kernel_packages=metas,
        headers_packages=(
            "linux-headers-6.12.107+deb13-amd64",
            "linux-headers-amd64",
            "linux-headers-cloud-amd64",
        ),
    )
    assert decision(machine).headers == headers


def test_another_flavour_goes() -> None:
    machine = with_packages(host(device("rtx-3090")), Package("nvidia-kernel-dkms", "580.1-1", came="nvidia"))
    assert decision(machine).remove == ("nvidia-kernel-dkms",)


def installed(machine: DriverHost, request: Request = ANYTHING) -> DriverHost:
    """The machine after a deploy of the driver that was decided for it, before the toolkit."""
    found = decision(machine, request)
    version = f"{found.branch}.95.05"
    packages = [Package(name, f"{version}-1", came=found.source) for name in found.packages]
    if found.modules == "precompiled":
        packages.append(Package(found.packages[0].replace("-generic", "-6.8.0-88-generic"), "6.8.0-88.89"))
        packages[0] = replace(packages[0], version="6.8.0-88.89")
    return replace(
        with_packages(machine, *packages),
        next_boot=replace(machine.next_boot, nvidia=version, flavour=found.flavour),
        loaded=version,
        loaded_flavour=found.flavour,
    )


@pytest.mark.parametrize("system", [("debian", "12"), ("ubuntu", "24.04"), ("ubuntu", "26.04")], ids="-".join)
@pytest.mark.parametrize("model", ["rtx-3090", "tesla-p40"])
def test_what_was_decided_and_installed_is_in_place(system: tuple[str, str], model: str) -> None:
    machine = host(device(model), system=system)
    assert not decision(machine).in_place
    after = installed(machine)
    assert decision(after).in_place
    assert decision(after).remove == ()
    assert decision(after).reboot is None


def test_what_is_in_place_may_be_held_and_needs_no_room() -> None:
    after = installed(host(device("rtx-3090")))
    toolkit = decision(after).cuda
    assert toolkit
    after = with_packages(after, Package(toolkit.package, "12", came="nvidia"))
    held = replace(
        after, packages=tuple(replace(each, held=True) for each in after.packages), root_free_mib=100
    )
    assert decide(held, Request()).go


# What a finished deploy leaves beside the driver's own names, with versions of their own or of a daemon that lags.
COMPANIONS = {
    ("debian", "12"): (
        Package("nvidia-driver-pinning-580", "580-1", came="nvidia"),
        Package("libnvidia-container1", "1.17.8-1", came="nvidia"),
        Package("libnvidia-egl-wayland1", "1:1.1.18-1"),
    ),
    ("debian", "13"): (
        Package("nvidia-kernel-common", "20240109+1"),
        Package("nvidia-persistenced", "535.171.04-1"),
        Package("libnvidia-ml-dev", "12.4.127~12.4.1-2"),
    ),
}


@pytest.mark.parametrize("system", COMPANIONS, ids="-".join)
def test_what_has_versions_of_its_own_is_of_every_branch(system: tuple[str, str]) -> None:
    asked = Request(source="nvidia" if system[1] == "12" else "distribution")
    after = installed(host(device("rtx-3090"), system=system), asked)
    beside = replace(with_packages(after, *COMPANIONS[system]), root_free_mib=100_000)
    held = replace(beside, packages=tuple(replace(each, held=True) for each in beside.packages))
    for machine in (beside, held):
        found = decide(machine, asked)
        assert found.decision
        assert (found.decision.in_place, found.obstacles) == (True, ())


def test_the_toolkit_alone_needs_room_too() -> None:
    after = replace(installed(host(device("rtx-3090"))), root_free_mib=1000)
    assert [each.code for each in decide(after, Request()).obstacles] == ["disk"]
    assert decide(after, Request(cuda=False)).go


@pytest.mark.parametrize(
    "change",
    [
        lambda it: replace(it, next_boot=replace(it.next_boot, nvidia=None)),
        lambda it: replace(it, next_boot=replace(it.next_boot, nvidia="550.1")),
        lambda it: with_packages(it, Package("nvidia-kernel-dkms", "580.95.05-1", came="nvidia")),
        lambda it: with_packages(it, Package("libcuda1", "595.1-1", came="nvidia")),
    ],
    ids=[
        "no module for the next boot",
        "another module at the next boot",
        "two flavours",
        "a library of 595",
    ],
)
def test_what_is_there_by_halves_is_not_in_place(change: object) -> None:
    assert callable(change)
    assert not decision(change(installed(host(device("rtx-3090"))))).in_place


@pytest.mark.parametrize(
    ("loaded", "flavour", "nouveau", "reboot"),
    [
        (None, None, False, None),
        (None, None, True, "nouveau holds the cards"),
        ("580.1", "open", False, None),
        ("580.1", "proprietary", False, "580.1 (proprietary) is loaded"),
        ("575.1", "open", False, "575.1 (open) is loaded"),
    ],
)
def test_a_reboot_only_for_what_is_loaded(
    loaded: str | None, flavour: Flavour | None, nouveau: bool, reboot: str | None
) -> None:
    machine = replace(host(device("rtx-3090")), loaded=loaded, loaded_flavour=flavour, nouveau=nouveau)
    assert decision(machine).reboot == reboot


def test_a_reboot_into_the_kernel_that_the_module_is_for() -> None:
    machine = replace(host(device("rtx-3090")), next_boot=Kernel("6.12.200+deb13-amd64", "available"))
    assert "6.12.200+deb13-amd64" in (decision(machine).reboot or "")


def test_apt_stays_on_the_branch_and_on_cuda_12() -> None:
    nvidia, own = (
        decision(host(device("rtx-3090"), system=system)).pins
        for system in (("debian", "12"), ("ubuntu", "26.04"))
    )
    assert [(pin.pin, pin.priority) for pin in nvidia] == [("version 580.*", 1001), ("version *", -1)]
    assert {"cuda", "cuda-toolkit"} <= set(nvidia[1].packages)
    assert "cuda-toolkit-12-9" not in nvidia[1].packages
    assert [(pin.pin, pin.priority) for pin in own] == [
        ("version 580.*", 1001),
        ("origin developer.download.nvidia.com", -1),
    ]


def test_without_a_toolkit() -> None:
    found = decision(host(device("rtx-3090")), Request(cuda=False))
    assert found.cuda is None
    assert found.containers_only == "no toolkit was asked for"
