"""What stands in the way of a driver on this host, and the way out. Found before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labctl.driver.host import DriverHost, Package
from labctl.driver.support import KnownCard, flavours, in_the_way, never_together
from labctl.driver.table import Branches, Flavour, Modules, Offer, Origin, System, Table

# update-initramfs writes the new image beside the old one; the rest is for a kernel's own small files.
_BOOT_MARGIN_MIB = 32
_INITRD_MIB = 120  # where there is none to measure
_KEY = "/var/lib/dkms/mok.pub"
_UBUNTUS_KEY = "/var/lib/shim-signed/mok/MOK.der"  # of shim-signed, which Ubuntu's dkms is told of


@dataclass(frozen=True)
class Obstacle:
    """code: for programs. message: what is wrong; way_out: what a person does about it.

    final: nothing else can be decided while it stands.
    """

    code: str
    message: str
    way_out: str
    final: bool = False


def of_machine(host: DriverHost, table: Table, *, in_container: bool) -> Iterator[Obstacle]:
    """The kind of machine and its system."""
    if host.wsl:
        yield Obstacle(
            "wsl",
            "this is Windows Subsystem for Linux: the driver is Windows's",
            "install NVIDIA's driver in Windows",
            final=True,
        )
        return
    if host.container and not in_container:
        yield Obstacle(
            "container",
            f"this is a container ({host.container}): its kernel belongs to the machine around it",
            "deploy to that machine, and pass the cards in with CDI",
            final=True,
        )
    if host.arch != "x86_64":
        yield Obstacle(
            "architecture",
            f"the processor is {host.arch or 'unknown'}, drivers are chosen for x86_64 alone",
            "install the driver as the maker of the machine says (JetPack, DGX OS)",
            final=True,
        )
    if table.system(host.os_id, host.os_version) is None:
        known = ", ".join(system.name for system in table.systems)
        yield Obstacle(
            "system",
            f"{host.os_id} {host.os_version} is not supported",
            f"install one of {known}",
            final=True,
        )


def of_cards(table: Table, cards: tuple[KnownCard, ...]) -> Iterator[Obstacle]:
    """Cards that no driver of the table drives, or that are not this host's to drive."""
    if not cards:
        yield Obstacle(
            "no-card",
            "there is no NVIDIA card on the PCI bus",
            "look at its seat and power cables, and for it in `lspci`; in a VM, pass it through",
            final=True,
        )
    if cards and all(card.set_aside for card in cards):
        yield Obstacle(
            "passthrough",
            f"{cards[0].title} at {cards[0].card.slot} is set aside for a virtual machine (vfio-pci)",
            "deploy inside that VM, or take its id out of vfio-pci's options and reboot",
            final=True,
        )
    for card in cards:
        if not card.set_aside:
            yield from _of_card(table, card)


def _of_card(table: Table, card: KnownCard) -> Iterator[Obstacle]:
    board, row = table.board(card.models), table.architecture(card.generation or "")
    if board:
        yield Obstacle(
            "board",
            f"{card.title} is part of its board",
            f"its maker's {board.system} brings the driver",
            final=True,
        )
    elif card.generation is None:
        yield Obstacle(
            "unknown-card",
            f"{card.title} at {card.card.slot} is on no list",
            "`sudo update-pciids` may name its chip; else update labctl, or take the card out",
            final=True,
        )
    elif row is None or (row.open is None and _ended(row.proprietary, table)):
        yield Obstacle(
            "too-old",
            f"{card.title} ({card.generation}) is older than any driver that is still kept",
            "take the card out; Maxwell, as the GTX 900 series, is the oldest that CUDA 12 works with",
            final=True,
        )


def _ended(branches: Branches | None, table: Table) -> bool:
    oldest = min(row.branch for row in table.branches)
    return branches is None or (branches.last is not None and branches.last < oldest)


def of_packages(host: DriverHost, system: System | None) -> Iterator[Obstacle]:
    """What dpkg and apt would stumble over."""
    unfinished = [each.name for each in host.packages if each.state != "installed"]
    if unfinished:
        yield Obstacle(
            "unfinished",
            f"an earlier installation did not finish: {_some(unfinished)}",
            "`sudo dpkg --configure -a && sudo apt-get -f install`, then look again",
        )
    if system and system.signatures == "sqv":
        for line in host.sources:
            other = next(
                (
                    name
                    for name in ("debian12", "debian11", "ubuntu2404", "ubuntu2204")
                    if f"/{name}/" in line
                ),
                None,
            )
            if other:
                yield Obstacle(
                    "sha1-key",
                    f"apt has NVIDIA's repository for {other}, whose key is bound by SHA-1: {system.name} refuses it",
                    f"remove that source from /etc/apt; {system.name} has its own, {system.repository}",
                )
    if any("trusted=yes" in line.replace(" ", "").lower() for line in host.sources):
        yield Obstacle(
            "unsigned-source",
            "apt takes NVIDIA's repository without a signature ([trusted=yes])",
            "remove that source from /etc/apt; labctl adds it with its key",
        )


def loads_under_secure_boot(host: DriverHost, modules: Modules) -> bool:
    """Whether Secure Boot lets the module load. Where the firmware did not say, it is taken to be on."""
    return host.secure_boot.enabled is False or modules == "precompiled" or host.secure_boot.key_enrolled


def of_build(host: DriverHost, modules: Modules) -> Iterator[Obstacle]:
    """What building a module here needs: headers of the kernel that boots next, and a key under Secure Boot."""
    if modules != "dkms":
        return
    if host.next_boot.headers == "missing":
        yield Obstacle(
            "headers",
            f"no headers for {host.next_boot.release}, the kernel that boots next, neither here nor in apt",
            "`sudo apt-get update && sudo apt-get full-upgrade`, reboot into the newest kernel, then look again",
        )
    if not loads_under_secure_boot(host, modules):
        made, command = _new_key(host)
        key = host.secure_boot.key or made
        make = "" if host.secure_boot.key else f"`sudo apt-get install dkms mokutil && sudo {command}`, "
        state = "is on" if host.secure_boot.enabled else "may be on (the firmware did not say)"
        yield Obstacle(
            "secure-boot",
            f"Secure Boot {state}, and the key that dkms signs with is not enrolled",
            f"{make}`sudo mokutil --import {key}`, reboot and confirm at the machine's own screen (SSH "
            "cannot); or turn Secure Boot off in the firmware",
        )


def _new_key(host: DriverHost) -> tuple[str, str]:
    """Where the system's dkms keeps the key that it signs with, and what makes one: Debian 12's 3.0 cannot yet."""
    if host.os_id == "ubuntu":
        return _UBUNTUS_KEY, "update-secureboot-policy --new-key"
    if (host.os_id, host.os_version) == ("debian", "12"):
        private = _KEY.replace(".pub", ".key")
        return _KEY, (
            "openssl req -new -x509 -newkey rsa:2048 -nodes -days 36500 -subj /CN=dkms/ "
            f"-keyout {private} -outform DER -out {_KEY}"
        )
    return _KEY, "dkms generate_mok"


def of_signed_module(host: DriverHost, package: str) -> Iterator[Obstacle]:
    """A kernel that Ubuntu has no ready-made module for: one of a mainline build, or older than the archive's."""
    if host.signed_modules and package not in host.signed_modules:
        yield Obstacle(
            "no-signed-module",
            f"apt has no {package}: no ready-made module for {host.next_boot.release}",
            "`sudo apt-get install linux-image-generic`, reboot into it, then look again; or `--source nvidia`",
        )


def of_disk(host: DriverHost, needed_mib: int) -> Iterator[Obstacle]:
    """Room on / for packages and the build."""
    if host.root_free_mib is not None and host.root_free_mib < needed_mib:
        yield Obstacle(
            "disk",
            f"/ has {host.root_free_mib / 1024:.1f} GiB free, {needed_mib / 1024:.1f} GiB are needed",
            "free some room: `sudo apt-get clean`, `sudo journalctl --vacuum-size=100M`; or leave the toolkit out",
        )


def of_boot(host: DriverHost) -> Iterator[Obstacle]:
    """Room on /boot for a second initramfs."""
    boot_mib = (host.largest_initrd_mib or _INITRD_MIB) + _BOOT_MARGIN_MIB
    if host.boot_free_mib is not None and host.boot_free_mib < boot_mib:
        yield Obstacle(
            "boot-full",
            f"/boot has {host.boot_free_mib} MiB free, a new initramfs needs {boot_mib} MiB",
            "remove old kernels: `sudo apt-get autoremove --purge`",
        )


def of_existing(host: DriverHost, to_change: Iterable[Package]) -> Iterator[Obstacle]:
    """A driver that is already there and that apt cannot, or may not, replace. to_change: what it would replace."""
    if host.run_installer:
        yield Obstacle(
            "run-installer",
            "a driver from NVIDIA's .run installer is there, which packages would overwrite by halves",
            "`sudo nvidia-uninstall`, reboot, then look again",
        )
    elif host.came == "built":
        yield Obstacle(
            "foreign-driver",
            f"a driver that no package owns is there ({host.loaded or host.next_boot.nvidia})",
            "remove it the way it was installed, reboot, then look again",
        )
    held = [each.name for each in to_change if each.held]
    if held:
        yield Obstacle(
            "held",
            f"apt holds {_some(held)}, which would have to change",
            f"if it may: `sudo apt-mark unhold {' '.join(held)}`",
        )


def no_such_offer(table: Table, system: System, source: Origin | None, branch: int | None) -> Obstacle:
    """Nothing fits what was asked for."""
    whose = {"nvidia": "NVIDIA's repository", "distribution": f"{system.id.capitalize()}'s own archive"}
    where = whose[source] if source else "this table"
    have = ", ".join(f"{offer.branch} ({offer.source})" for offer in table.offers_for(system))
    return Obstacle(
        "no-offer", f"{where} has no driver {branch} for {system.name}", f"it can have {have}", final=True
    )


def not_of_flavour(flavour: Flavour, reasons: list[str]) -> Obstacle:
    """The cards can be driven, but not with the module that was asked for."""
    return Obstacle(
        "flavour",
        f"no driver here has a {flavour} kernel module for all cards: {'; '.join(reasons)}",
        "leave the flavour out",
        final=True,
    )


def undriven(table: Table, system: System, cards: tuple[KnownCard, ...], offers: list[Offer]) -> Obstacle:
    """None of `offers` drives all the cards: which card, or which two, and what else would."""
    why = "; ".join(_reasons(table, cards, offers))
    if never_together(table, cards):
        old, new = _oldest_and_newest(table, cards)
        return Obstacle(
            "mixed",
            f"no driver runs {old.title} ({old.generation}) and {new.title} ({new.generation}) in one host: {why}",
            "put one of them into another machine, or set it aside for a VM (vfio-pci)",
            final=True,
        )
    here = [each for each in table.offers_for(system) if flavours(table, cards, each.branch)]
    if here:
        return Obstacle(
            "undriven",
            why,
            f"ask for --source {here[0].source} --branch {here[0].branch}, or leave both out",
            final=True,
        )
    elsewhere = [
        row.name
        for row in table.systems
        if any(flavours(table, cards, each.branch) for each in table.offers_for(row))
    ]
    return Obstacle("undriven", why, f"use another system: {', '.join(elsewhere)}", final=True)


def _reasons(table: Table, cards: tuple[KnownCard, ...], offers: list[Offer]) -> list[str]:
    return list(
        dict.fromkeys(reason for offer in offers for reason in in_the_way(table, cards, offer.branch))
    )


def _oldest_and_newest(table: Table, cards: tuple[KnownCard, ...]) -> tuple[KnownCard, KnownCard]:
    order = [row.name for row in table.architectures]
    ordered = sorted(cards, key=lambda card: order.index(card.generation or ""))
    return ordered[0], ordered[-1]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
