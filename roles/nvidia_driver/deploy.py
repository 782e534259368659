"""NVIDIA's driver: one branch from one source, its module built for the kernel that boots next, and loaded."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.driver.decision import Decision
from labctl.driver.host import DriverHost, is_module_package
from labctl.driver.packages import Pin, kernel_metapackage, of_any_branch
from labctl.edges.preflights import decision_table
from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.resource import Resource
from labctl.hoststate.signed_repository import SignedRepository
from roles.nvidia_driver.decided import decided
from roles.nvidia_driver.module import Initramfs, LoadedModule, module_built
from roles.nvidia_driver.packages import DriverPackages
from roles.nvidia_driver.settings import NvidiaDriverSettings

PINS = "/etc/apt/preferences.d/50-labctl-nvidia"
NO_NOUVEAU = "/etc/modprobe.d/50-labctl-nouveau.conf"
LOAD = "/etc/modules-load.d/50-labctl-nvidia.conf"


@role("nvidia_driver", NvidiaDriverSettings)
def nvidia_driver(settings: NvidiaDriverSettings, facts: HostFacts) -> Iterator[Resource]:
    """Pins before the repository that they tame, and the reboot last. Nothing for a host without a card.

    What is loaded at boot changes only when there is a module: one that does not build leaves nouveau as it was.
    """
    found = decided(settings, facts)
    if found is None:
        return
    host, decision = found
    kernel = host.next_boot.release
    yield Files("pins", (File(PINS, pins(decision.pins)),))
    if decision.source == "nvidia":
        yield nvidias_repository(decision, settings)
    module = tuple(name for name in decision.packages if is_module_package(name))
    rest = tuple(name for name in decision.packages if name not in module)
    yield DriverPackages(
        "kernel module packages",
        (*decision.first, *module),
        decision.branch,
        kernel,
        builds=decision.modules == "dkms",
        headers=headers(host, decision),
        absent=other_modules(decision),
    )
    yield module_built(decision.branch, decision.flavour, kernel, module)
    built = module if decision.modules == "dkms" else ()
    yield DriverPackages(
        "packages",
        rest,
        decision.branch,
        kernel,
        modules=built,
        of_any_branch=of_any_branch(decision.source),
    )
    yield Files(
        "modules at boot",
        (
            File(NO_NOUVEAU, render(__file__, "nouveau.conf")),
            File(LOAD, render(__file__, "modules-load.conf")),
        ),
    )
    yield Initramfs(
        "initramfs",
        # A container, or a machine that boots without one, has none.
        probe=f"i=/boot/initrd.img-{kernel}; if [ ! -e $i ]; then echo none; elif [ $i -nt {NO_NOUVEAU} ]; then "
        "echo current; fi",
        wanted="current",
        problem="older than what keeps nouveau off",
        reads=(NO_NOUVEAU,),
        settled_by=module,
        apply=f"if command -v update-initramfs >/dev/null; then update-initramfs -u -k {kernel}\n"
        f"else dracut --force /boot/initrd.img-{kernel} {kernel}; fi",
    )
    if settings.reboot:
        yield LoadedModule(kernel, module)


def headers(host: DriverHost, decision: Decision) -> tuple[str, ...]:
    """What the module is built with.

    A host that never fetched package lists does not know what it could have; base has fetched them by the time.
    """
    if decision.modules != "dkms" or host.next_boot.headers == "installed":
        return decision.headers
    meta = kernel_metapackage(host)
    return decision.headers or (
        f"linux-headers-{host.next_boot.release}",
        *([f"linux-headers-{meta}"] if meta else []),
    )


def other_modules(decision: Decision) -> tuple[str, ...]:
    """Packages with another kernel module: those that are there, and every other that the table knows."""
    known = {
        name
        for offer in decision_table().offers_for(decision.system)
        for name in (*offer.open, *offer.proprietary)
        if is_module_package(name) and "{" not in name
    }
    return tuple(sorted((known | set(decision.remove)) - set(decision.packages)))


def nvidias_repository(decision: Decision, settings: NvidiaDriverSettings) -> SignedRepository:
    """NVIDIA's repository for this system, or the mirror that the inventory names."""
    system, mirror = decision.system, settings.repository
    return SignedRepository(
        "repository",
        "nvidia",
        mirror.url if mirror else system.repository_url,
        mirror.key_url if mirror else system.repository_url + system.key.file,
        mirror.fingerprint if mirror else system.key.fingerprint,
    )


def pins(wanted: tuple[Pin, ...]) -> str:
    """apt_preferences(5)."""
    return render(__file__, "pins", pins=wanted)
