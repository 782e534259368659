"""Hosts to decide for: one on which nothing is in the way, to be changed by a test."""

from dataclasses import replace

from labctl.driver.host import DriverHost, Kernel, Package, PciCard, SecureBoot
from labctl.edges.preflights import card_ids

RELEASES = {"debian": "6.12.107+deb13-amd64", "ubuntu": "6.8.0-88-generic"}
SYSTEMS = (("debian", "12"), ("debian", "13"), ("ubuntu", "24.04"), ("ubuntu", "26.04"))
ON = SecureBoot(enabled=True)


def host(*devices: str, system: tuple[str, str] = ("debian", "12"), secure_boot: bool = False) -> DriverHost:
    """A machine with these cards and nothing else: no driver yet, headers to be had, room on the disk."""
    release = RELEASES[system[0]]
    meta = "amd64" if system[0] == "debian" else "generic"
    kernel = Kernel(release, "available")
    return DriverHost(
        name="aibox",
        os_id=system[0],
        os_version=system[1],
        arch="x86_64",
        running=kernel,
        next_boot=kernel,
        cards=tuple(PciCard(f"0000:{slot:02x}:00.0", device) for slot, device in enumerate(devices, 1)),
        secure_boot=ON if secure_boot else SecureBoot(enabled=False),
        packages=(Package(f"linux-image-{meta}", "1"),),
        headers_packages=(f"linux-headers-{meta}", f"linux-headers-{release}"),
        kernel_packages=(meta,),
        root_free_mib=100_000,
    )


def device(model: str) -> str:
    """A PCI id of a card of the catalogue."""
    return card_ids().of_model(model)[0]


def with_packages(machine: DriverHost, *packages: Package) -> DriverHost:
    """The same machine with these installed, too."""
    return replace(machine, packages=(*machine.packages, *packages))
