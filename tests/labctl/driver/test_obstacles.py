"""What stands in the way: each alone on an otherwise good host, with a way out; and what does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from labctl.driver.decision import Preflight, Request
from labctl.driver.host import DriverHost, Kernel, Package, PciCard, SecureBoot
from labctl.edges.preflights import decide
from tests.labctl.driver.hosts import SYSTEMS, device, host, with_packages

Change = Callable[[DriverHost], DriverHost]
NEXT = "6.12.108+deb13-amd64"
DEBIAN_12 = (
    "deb [signed-by=/k.gpg] https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/ /"
)
DEBIAN_13 = "URIs: https://developer.download.nvidia.com/compute/cuda/repos/debian13/x86_64/"
ANYTHING = Request()
OTHER = Package("nvidia-kernel-dkms", "550.163.01-2")

# What is changed on a Debian 13 host with an RTX 3090, and the code of the one refusal that follows.
CASES: dict[str, tuple[Change, str]] = {
    "WSL": (lambda it: replace(it, wsl=True, container="wsl"), "wsl"),
    "a container": (lambda it: replace(it, container="docker"), "container"),
    "ARM": (lambda it: replace(it, arch="aarch64"), "architecture"),
    "Debian 11": (lambda it: replace(it, os_version="11"), "system"),
    "Fedora": (lambda it: replace(it, os_id="fedora", os_version="43"), "system"),
    "no card": (lambda it: replace(it, cards=()), "no-card"),
    "a card on no list": (lambda it: replace(it, cards=(PciCard("0000:01:00.0", "ffff"),)), "unknown-card"),
    "Fermi": (lambda it: replace(it, cards=(PciCard("0000:01:00.0", "06c0"),)), "too-old"),
    "Kepler": (lambda it: replace(it, cards=(PciCard("0000:01:00.0", device("tesla-k80")),)), "too-old"),
    "Kepler beside a 3090": (
        lambda it: replace(it, cards=(*it.cards, PciCard("0000:05:00.0", device("tesla-k80")))),
        "too-old",
    ),
    "the only card is for a VM": (
        lambda it: replace(it, cards=tuple(replace(card, driver="vfio-pci") for card in it.cards)),
        "passthrough",
    ),
    "half installed": (
        lambda it: with_packages(it, Package("nvidia-smi", "550", "half-configured")),
        "unfinished",
    ),
    "any package half installed": (
        lambda it: with_packages(it, Package("vim", "9", "unpacked")),
        "unfinished",
    ),
    "the Debian 12 repository": (lambda it: replace(it, sources=(DEBIAN_12,)), "sha1-key"),
    "no signature": (lambda it: replace(it, sources=(f"deb [trusted=yes] {DEBIAN_13}",)), "unsigned-source"),
    "no headers": (lambda it: replace(it, next_boot=Kernel(NEXT, "missing")), "headers"),
    "Secure Boot": (lambda it: replace(it, secure_boot=SecureBoot(enabled=True)), "secure-boot"),
    "a key not enrolled": (
        lambda it: replace(it, secure_boot=SecureBoot(enabled=True, key="/var/lib/dkms/mok.pub")),
        "secure-boot",
    ),
    "Secure Boot unknown": (lambda it: replace(it, secure_boot=SecureBoot(enabled=None)), "secure-boot"),
    "/ is full": (lambda it: replace(it, root_free_mib=4000), "disk"),
    "/boot is full": (lambda it: replace(it, boot_free_mib=60, largest_initrd_mib=70), "boot-full"),
    "/boot is full, nothing to measure": (lambda it: replace(it, boot_free_mib=60), "boot-full"),
    ".run": (
        lambda it: replace(it, run_installer=True, loaded="570.1", loaded_flavour="open"),
        "run-installer",
    ),
    "built by hand": (
        lambda it: replace(
            it,
            loaded="570.124.06",
            loaded_flavour="open",
            running=replace(it.running, nvidia="570.124.06", flavour="open"),
        ),
        "foreign-driver",
    ),
    "held": (lambda it: with_packages(it, replace(OTHER, held=True)), "held"),
}
HARMLESS: dict[str, Change] = {
    "nothing": lambda it: it,
    "nouveau": lambda it: replace(it, nouveau=True),
    "purged since the last boot": lambda it: replace(it, loaded="570.124.06", loaded_flavour="open"),
    "a VM": lambda it: replace(it, vm="kvm"),
    "its own repository": lambda it: replace(it, sources=(DEBIAN_13,)),
    "no package lists": lambda it: replace(it, next_boot=Kernel(NEXT, "unknown")),
    "headers are there": lambda it: replace(it, next_boot=Kernel(NEXT, "installed")),
    "an enrolled key": lambda it: replace(
        it, secure_boot=SecureBoot(enabled=True, key_enrolled=True, key="/k")
    ),
    "Debian's driver, to be replaced": lambda it: with_packages(it, OTHER),
    "a held package that is no driver's": lambda it: with_packages(it, Package("vim", "9", held=True)),
    "room on /boot": lambda it: replace(it, boot_free_mib=200, largest_initrd_mib=70),
    "a disk that nobody measured": lambda it: replace(it, root_free_mib=None),
    "a card for a VM beside it": lambda it: replace(
        it, cards=(*it.cards, PciCard("0000:05:00.0", device("tesla-p40"), driver="vfio-pci"))
    ),
}


def decided(change: Change, request: Request = ANYTHING) -> Preflight:
    return decide(change(host(device("rtx-3090"), system=("debian", "13"))), request)


@pytest.mark.parametrize("name", CASES)
def test_each_alone_is_refused_with_a_way_out(name: str) -> None:
    change, code = CASES[name]
    found = decided(change)
    assert [each.code for each in found.obstacles] == [code]
    assert not found.go
    (obstacle,) = found.obstacles
    assert obstacle.message
    assert obstacle.way_out
    assert not obstacle.message.endswith(".")


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_in_nobodys_way(name: str) -> None:
    found = decided(HARMLESS[name])
    assert found.obstacles == ()
    assert found.go


def test_a_system_container_is_deployed_to_where_that_is_asked_for() -> None:
    def nested(it: DriverHost) -> DriverHost:
        return replace(it, container="systemd-nspawn")

    assert not decided(nested).go
    assert decided(nested, Request(in_container=True)).go


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = decided(
        lambda it: replace(
            with_packages(it, Package("nvidia-smi", "550", "unpacked")),
            next_boot=Kernel(NEXT, "missing"),
            secure_boot=SecureBoot(enabled=True),
            boot_free_mib=1,
            run_installer=True,
        )
    )
    codes = [each.code for each in found.obstacles]
    assert codes == ["unfinished", "headers", "secure-boot", "boot-full", "run-installer"]


@pytest.mark.parametrize("model", ["gtx-980-ti", "tesla-p40", "titan-v"])
@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_an_old_card_is_refused_595(model: str, system: tuple[str, str]) -> None:
    found = decide(host(device(model), system=system), Request(branch=595))
    assert [each.code for each in found.obstacles] == ["undriven"]
    assert "595 does not drive" in found.obstacles[0].message
    assert "--source" in found.obstacles[0].way_out


@pytest.mark.parametrize(("version", "branch"), [("12", 535), ("13", 550)])
def test_blackwell_is_refused_debians_own(version: str, branch: int) -> None:
    found = decide(host(device("rtx-5090"), system=("debian", version)), Request(source="distribution"))
    assert [each.code for each in found.obstacles] == ["undriven"]
    assert f"{branch} does not drive GeForce RTX 5090" in found.obstacles[0].message


@pytest.mark.parametrize(
    ("there", "codes"),
    [
        ((), []),  # no lists, or no `restricted` yet
        (("linux-modules-nvidia-580-server-open-generic",), []),
        (("linux-modules-nvidia-580-server-open-aws",), ["no-signed-module"]),
    ],
)
def test_a_kernel_without_a_signed_module_is_refused(there: tuple[str, ...], codes: list[str]) -> None:
    machine = replace(host(device("rtx-3090"), system=("ubuntu", "26.04")), signed_modules=there)
    assert [each.code for each in decide(machine, Request()).obstacles] == codes


def test_a_branch_that_is_not_there_is_refused_with_those_that_are() -> None:
    found = decided(lambda it: it, Request(branch=580))
    assert [each.code for each in found.obstacles] == ["no-offer"]
    assert "595 (nvidia), 550 (distribution)" in found.obstacles[0].way_out


def test_ubuntus_signed_modules_need_no_key_but_nvidias_do() -> None:
    machine = host(device("rtx-4090"), system=("ubuntu", "24.04"), secure_boot=True)
    found = decide(machine, Request())
    assert found.decision
    assert (found.decision.source, found.decision.modules) == ("distribution", "precompiled")
    assert any("Secure Boot" in reason for reason in found.decision.reasons)
    assert [each.code for each in decide(machine, Request(source="nvidia")).obstacles] == ["secure-boot"]


def test_a_flavour_that_is_asked_for_is_given_or_refused() -> None:
    for flavour in ("open", "proprietary"):
        found = decide(host(device("rtx-3090"), system=("debian", "13")), Request(flavour=flavour))
        assert found.decision
        assert (found.decision.flavour, found.decision.reasons[-1]) == (
            flavour,
            f"{flavour} kernel module: as asked for",
        )
    refused = decide(host(device("rtx-5090")), Request(flavour="proprietary"))
    assert [each.code for each in refused.obstacles] == ["flavour"]
    assert "NVIDIA's 580" in refused.obstacles[0].message


@pytest.mark.parametrize(
    ("system", "request_", "command", "key"),
    [
        (("debian", "12"), ANYTHING, "openssl req", "/var/lib/dkms/mok.pub"),
        (("debian", "13"), ANYTHING, "dkms generate_mok", "/var/lib/dkms/mok.pub"),
        (("ubuntu", "24.04"), Request(source="nvidia"), "update-secureboot-policy --new-key", "MOK.der"),
    ],
)
def test_a_key_is_made_as_the_systems_own_dkms_wants_it(
    system: tuple[str, str], request_: Request, command: str, key: str
) -> None:
    found = decide(host(device("rtx-3090"), system=system, secure_boot=True), request_)
    (obstacle,) = found.obstacles
    assert command in obstacle.way_out
    assert f"{key}`" in obstacle.way_out
