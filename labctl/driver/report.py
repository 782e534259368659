"""What a host printed for the survey, as a value."""

from __future__ import annotations

import re
from typing import Literal

from labctl.driver.host import DriverHost, Headers, Kernel, Package, PciCard, SecureBoot, is_driver_package
from labctl.errors import Failed
from labctl.rig.host_report import sections

# PCI base class 03, display: VGA, XGA, 3D and other controllers.
_DISPLAY = "0x03"
_POLICY = re.compile(r"^(\S+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def parse(output: str) -> DriverHost:
    """Read what SCRIPT printed. Raises Failed where the output ends early: half an answer is no answer."""
    parts = sections(output)
    if "end" not in parts:
        raise Failed(
            "the host did not finish saying what it is",
            found=f"{len(output)} characters without an end",
            expected="a POSIX shell on Linux",
            hint="log in by hand: does it answer?",
        )
    system = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', parts.get("os", ""), re.MULTILINE))
    machine = _pairs(parts.get("machine", ""))
    policies = dict(_POLICY.findall(parts.get("policy", "")))
    candidates = {
        name
        for name, text in policies.items()
        if re.search(r"^  Candidate: (?!\(none\))", text, re.MULTILINE)
    }
    kernels = _kernels(
        parts.get("kernels", ""), candidates, lists=not re.search(r"^lists 0$", parts["policy"], re.MULTILINE)
    )
    running = machine.get("release", "")
    container = _virtual(machine.get("container"))
    # A container boots no kernel of its own; what it has headers for is what it can build for.
    could = [
        name
        for name, (boots, kernel) in kernels.items()
        if boots or (container and kernel.headers == "installed")
    ]
    following = _next_boot(parts.get("grub", ""), could) or running
    packages = _packages(parts.get("packages", ""), policies)
    flavour, loaded = _loaded(parts.get("loaded", ""))
    modules = parts.get("modules", "").split()
    free = _free(parts.get("df", ""))
    return DriverHost(
        name=parts.get("name", "").strip() or "localhost",
        os_id=system.get("ID", "unknown"),
        os_version=system.get("VERSION_ID", "unknown"),
        arch=machine.get("arch", ""),
        running=_kernel(kernels, running),
        next_boot=_kernel(kernels, following),
        cards=_cards(parts.get("pci", ""), parts.get("lspci", "")),
        secure_boot=_secure_boot(parts.get("secure-boot", "")),
        packages=packages,
        headers_packages=tuple(sorted(name for name in candidates if name.startswith("linux-headers-"))),
        signed_modules=tuple(sorted(parts.get("signed-modules", "").split())),
        kernel_packages=_kernel_packages(packages),
        loaded=loaded,
        loaded_flavour=flavour,
        nouveau="nouveau" in modules or "nova_core" in modules,
        run_installer=bool(parts.get("run-installer", "").split()),
        sources=tuple(line.strip() for line in parts.get("sources", "").splitlines() if line.strip()),
        vm=_virtual(machine.get("vm")),
        container=container,
        wsl="microsoft" in machine.get("version", "").lower(),
        root_free_mib=free.get("/"),
        boot_free_mib=free.get("/boot"),
        largest_initrd_mib=_largest(parts.get("initrd", "")),
    )


def _pairs(text: str) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition(" ") for line in text.splitlines())}


def _virtual(name: str | None) -> str | None:
    return name if name not in (None, "", "none") else None


def _cards(pci: str, lspci: str) -> tuple[PciCard, ...]:
    named = re.findall(r"^(\S+) [^:]*: (?:NVIDIA Corporation )?(.*?) \[10de:", lspci, re.MULTILINE)
    names: dict[str, str] = dict(named)
    found = []
    for line in pci.splitlines():
        slot, kind, device, *driver = line.split()
        if kind.startswith(_DISPLAY):
            found.append(
                PciCard(slot, device.removeprefix("0x"), names.get(slot, ""), driver[0] if driver else None)
            )
    return tuple(found)


def _kernels(text: str, candidates: set[str], *, lists: bool) -> dict[str, tuple[bool, Kernel]]:
    found = {}
    for line in text.splitlines():
        release, boots, built, version, license_ = line.split("|")
        headers: Headers = "installed"
        if built != "yes":
            there = f"linux-headers-{release}" in candidates
            headers = "available" if there else "missing" if lists else "unknown"
        found[release] = (
            boots == "yes",
            Kernel(release, headers, version or None, _flavour(version, license_)),
        )
    return found


def _flavour(version: str, license_: str) -> Literal["open", "proprietary"] | None:
    """NVIDIA's open modules are `Dual MIT/GPL`, the others `NVIDIA`."""
    if not version:
        return None
    return "open" if "GPL" in license_ else "proprietary"


def _kernel(kernels: dict[str, tuple[bool, Kernel]], release: str) -> Kernel:
    return kernels[release][1] if release in kernels else Kernel(release, "missing")


def _next_boot(grub: str, bootable: list[str]) -> str | None:
    """The kernel that GRUB starts next: one chosen by name, else its first entry, else the newest there is.

    None where no kernel is installed in /boot, as in a container.
    """
    said: dict[str, str] = dict(
        re.findall(r"""^(GRUB_DEFAULT|next_entry|saved_entry)=["']?(.*?)["']?$""", grub, re.MULTILINE)
    )
    chosen = said.get("next_entry") or (
        said.get("saved_entry") if said.get("GRUB_DEFAULT") == "saved" else said.get("GRUB_DEFAULT")
    )
    # `Advanced options for Debian>Debian, with Linux 6.12.107+deb13-amd64`, `gnulinux-6.12.107+deb13-amd64-advanced-…`.
    named = [
        release
        for release in bootable
        if chosen and re.search(rf"(?<![\w.+]){re.escape(release)}(?![\w.+])", chosen)
    ]
    if named:
        return max(named, key=len)
    listed: list[str] = [
        release for release in re.findall(r"^kernel (\S+)$", grub, re.MULTILINE) if release in bootable
    ]
    if listed:
        return listed[_entry(chosen or "0", len(listed))]
    newest: str | None = max(bootable, key=_in_order, default=None)
    return newest


def _entry(chosen: str, count: int) -> int:
    """Which of the kernels in grub.cfg a number means: the first stands alone, the others in the submenu 1."""
    numbers = re.fullmatch(r"(\d+)(?:>(\d+))?", chosen)
    if not numbers or numbers[1] != "1" or numbers[2] is None:
        return 0
    return min(int(numbers[2]) + 1, count - 1)


def _in_order(release: str) -> list[tuple[int, str]]:
    return [(int(number or 0), word) for number, word in re.findall(r"(\d+)|(\D+)", release)]


def _secure_boot(text: str) -> SecureBoot:
    key = re.search(r"^key (\S+) (.*)$", text, re.MULTILINE)
    enrolled = bool(key and "is already enrolled" in key[2])
    enabled: bool | None
    if "SecureBoot enabled" in text:
        # shim's own switch, `mokutil --disable-validation`: modules are then loaded unsigned.
        enabled = "validation is disabled" not in text
    elif "SecureBoot disabled" in text:
        enabled = False
    elif value := re.search(r"^efivar +(\d)", text, re.MULTILINE):
        enabled = value[1] == "1"
    else:
        enabled = None if re.search(r"^efi$", text, re.MULTILINE) else False
    return SecureBoot(enabled, enrolled, key[1] if key else None)


def _packages(text: str, policies: dict[str, str]) -> tuple[Package, ...]:
    found = []
    for line in text.splitlines():
        want, state, name, version, maintainer, section = line.split("|")
        came: Literal["nvidia", "distribution"] = "distribution"
        if is_driver_package(name) or "cuda" in name:
            came = _came(policies.get(name, ""), maintainer, section)
        found.append(Package(name, version, state, want == "hold", came))
    return tuple(sorted(found, key=lambda each: each.name))


def _came(policy: str, maintainer: str, section: str) -> Literal["nvidia", "distribution"]:
    """Where an installed version came from: by who made it, which a mirror does not change, else by its archives."""
    if section == "NVIDIA" or ("nvidia" in maintainer.lower() and "debian.org" not in maintainer):
        return "nvidia"
    installed = re.search(r"^ \*\*\* .*\n((?:        .*\n?)*)", policy, re.MULTILINE)
    archives = (
        [line for line in installed[1].splitlines() if "/var/lib/dpkg/status" not in line]
        if installed
        else []
    )
    return "nvidia" if archives and all("nvidia.com" in line for line in archives) else "distribution"


def _kernel_packages(packages: tuple[Package, ...]) -> tuple[str, ...]:
    names = [
        each.name.removeprefix("linux-image-") for each in packages if each.name.startswith("linux-image-")
    ]
    return tuple(name for name in names if name[0].isalpha() and not name.startswith("unsigned-"))


def _loaded(text: str) -> tuple[Literal["open", "proprietary"] | None, str | None]:
    """Of /proc/driver/nvidia/version; the open module calls itself `NVIDIA UNIX Open Kernel Module`."""
    found = re.search(r"^NVRM version: (.*?Kernel Module.*?)  ?(\d+\.\d[\d.]*)", text, re.MULTILINE)
    if not found:
        return None, None
    return ("open" if "Open Kernel Module" in found[1] else "proprietary"), found[2]


def _free(df: str) -> dict[str, int]:
    """Free MiB by mount point; /boot is there only as a file system of its own."""
    rows = [line.split() for line in df.splitlines()[1:]]
    return {row[5]: int(row[3]) for row in rows if len(row) >= 6 and row[3].isdecimal()}


def _largest(listing: str) -> int | None:
    sizes = [
        int(line.split()[0])
        for line in listing.splitlines()
        if line.split()[:1] and line.split()[0].isdecimal()
    ]
    return max(sizes) // 1024 + 1 if sizes else None
