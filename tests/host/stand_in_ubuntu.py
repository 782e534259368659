"""A Debian host in Ubuntu's name: its os-release, a kernel by Ubuntu's name, and an archive of Ubuntu's package names.

Everything here is a STAND-IN. No kernel of it boots; its headers are those of the Debian below, so that dkms builds.
The ready-made modules are of a few lines of C, and say which driver they stand in for.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.host.simulated_driver import write
from tests.host.stand_in_driver import toolkit
from tests.host.stand_in_repository import FOLDER, STAND_IN, StandIn, build_package, sign_release
from tests.host.throwaway_host import ThrowawayHost

DRIVER, REDIRECTED = "580.95.05", "590.48.01"
_KEY = "usr/share/keyrings/ubuntu-archive-keyring.asc"
_MODULE = """
#define SAYS(field, text) static const char field[] __attribute__((section(".modinfo"), used)) = #field "=" text
SAYS(version, "{version}");
SAYS(license, "{license}");
SAYS(description, "{stand_in}");
"""


@dataclass(frozen=True)
class Release:
    """A release of Ubuntu. kernel: newer than Debian's, so that it is the one that boots next; meta: what brings it."""

    version: str
    codename: str
    kernel: str
    meta: str
    toolkit: str

    @property
    def os_release(self) -> str:
        """/etc/os-release."""
        return (
            f'PRETTY_NAME="Ubuntu {self.version} ({STAND_IN})"\nID=ubuntu\nID_LIKE=debian\n'
            f'VERSION_ID="{self.version}"\nVERSION_CODENAME={self.codename}\n'
        )


NOBLE = Release(
    "24.04", "noble", "6.14.0-37-generic", "generic-hwe-24.04", "12.0.140~12.0.1-4build4+standin1"
)
RESOLUTE = Release("26.04", "resolute", "7.0.0-22-generic", "generic", "12.4.131~12.4.1-4+standin1")


def disguise(host: ThrowawayHost, release: Release) -> None:
    """Give a Debian with headers the name, the kernel and the archive of a release of Ubuntu."""
    write(host, "usr/lib/os-release", release.os_release)
    _publish(host, release, {"main": _kernel(release), "restricted": driver(release)})
    write(
        host,
        "etc/apt/sources.list.d/ubuntu.sources",
        f"Types: deb\nURIs: file:/{FOLDER}/ubuntu\nSuites: {release.codename}\nComponents: main universe\n"
        f"Signed-By: /{_KEY}\n",
    )
    host.console_run(
        "apt-get -qq update -o Dir::Etc::sourcelist=sources.list.d/ubuntu.sources -o Dir::Etc::sourceparts=- && "
        f"apt-get -qq install linux-image-{release.meta} >/dev/null && rm -rf /var/lib/apt/lists/*"
    )


def _publish(host: ThrowawayHost, release: Release, components: dict[str, Sequence[StandIn]]) -> None:
    """An archive with a suite and components, as Ubuntu's is. apt names no component that is empty."""
    newest = StandIn("nvidia-cuda-toolkit", "13.0.2-1standin1")
    offered = {
        **components,
        "universe": (StandIn("podman", "4.9.3+standin1"),),
        "multiverse": (toolkit(version=release.toolkit), newest),
    }
    with tempfile.TemporaryDirectory(prefix="si-") as name:
        folder = Path(name)
        indexes = {
            f"{component}/binary-amd64/Packages": "\n".join(
                build_package(each, folder, "pool") for each in packages
            )
            for component, packages in offered.items()
        }
        sign_release(
            folder,
            # The origin is what tells the distribution's own archive from others.
            f"Origin: Ubuntu\nLabel: {STAND_IN}\nSuite: {release.codename}\nCodename: {release.codename}\n"
            f"Architectures: amd64\nComponents: {' '.join(offered)}\n",
            indexes,
        )
        suite = f"{FOLDER}/ubuntu/dists/{release.codename}"
        for path, index in indexes.items():
            write(host, f"{suite}/{path}", index)
        write(host, f"{suite}/InRelease", (folder / "InRelease").read_bytes())
        write(host, _KEY, (folder / "key.asc").read_bytes())
        for deb in folder.glob("*.deb"):
            write(host, f"{FOLDER}/ubuntu/pool/{deb.name}", deb.read_bytes())


def _kernel(release: Release) -> tuple[StandIn, ...]:
    kernel, meta = release.kernel, release.meta
    version = kernel.removesuffix("-generic")
    modules = f"lib/modules/{kernel}"
    links = (
        "#!/bin/sh\nset -e\n"
        f"ln -sfn $(echo /usr/src/linux-headers-*-amd64) /{modules}/build\n"
        f'echo "{STAND_IN}: the headers are those of the Debian below"\n'
    )
    return (
        StandIn(
            f"linux-image-{kernel}",
            f"{version}.37",
            {
                f"boot/vmlinuz-{kernel}": STAND_IN,
                f"{modules}/kernel/README": STAND_IN,
                f"{modules}/modules.builtin": "",
                f"{modules}/modules.order": "",
            },
            # dkms leaves a kernel alone that has no list of modules yet.
            scripts={"postinst": f"#!/bin/sh\nset -e\ndepmod {kernel}\n"},
        ),
        StandIn(f"linux-image-{meta}", f"{version}.37", depends=f"linux-image-{kernel}"),
        StandIn(
            f"linux-headers-{kernel}",
            f"{version}.37",
            depends="linux-headers-amd64",
            scripts={"postinst": links, "prerm": f"#!/bin/sh\nrm -f /{modules}/build\n"},
        ),
        StandIn(f"linux-headers-{meta}", f"{version}.37", depends=f"linux-headers-{kernel}"),
    )  # fmt: skip


def driver(release: Release) -> tuple[StandIn, ...]:
    """Ubuntu's own 580 for servers, ready-made, and the branch that its names will lead to one day."""
    revision = f"-0ubuntu0.{release.version}.1"
    user_space = (
        _user_space(DRIVER, revision),
        # As when Ubuntu ends a branch: the old names become empty packages that bring the next one.
        _user_space(REDIRECTED, revision),
    )
    return (
        *_ready_made(release, "open", "Dual MIT/GPL", "nvidia-580srv-open", "-open"),
        *_ready_made(release, "proprietary", "NVIDIA", "nvidia-580srv", ""),
        *(each for version in user_space for each in version),
    )


def _ready_made(
    release: Release, flavour: str, license_: str, folder: str, suffix: str
) -> tuple[StandIn, ...]:
    name = f"linux-modules-nvidia-580-server{suffix}"
    of_kernel = f"{name}-{release.kernel}"
    version = release.kernel.removesuffix("-generic") + ".37+1"
    depmod = f"#!/bin/sh\nset -e\ndepmod {release.kernel}\n"
    return (
        StandIn(
            of_kernel,
            version,
            {f"lib/modules/{release.kernel}/kernel/{folder}/nvidia.ko": _module(flavour, license_)},
            scripts={"postinst": depmod, "postrm": depmod},
        ),
        StandIn(
            f"{name}-{release.meta}",
            version,
            depends=f"{of_kernel} (= {version}), nvidia-kernel-common-580-server (>= {DRIVER})",
        ),
    )


def _module(flavour: str, license_: str) -> bytes:
    """An object file with what modinfo reads of a module."""
    text = _MODULE.format(version=DRIVER, license=license_, stand_in=f"{STAND_IN}: {flavour}")
    with tempfile.TemporaryDirectory(prefix="si-") as name:
        source, built = Path(name, "nvidia.c"), Path(name, "nvidia.ko")
        source.write_text(text)
        subprocess.run(["gcc", "-c", "-o", str(built), str(source)], check=True, capture_output=True)
        return built.read_bytes()


def _user_space(version: str, revision: str) -> tuple[StandIn, ...]:
    compute = f"libnvidia-compute-580-server (= {version}{revision})"
    needs = {
        "nvidia-kernel-common-580-server": "",
        "libnvidia-compute-580-server": "",
        "nvidia-utils-580-server": compute,
        "nvidia-compute-utils-580-server": compute,
        "libnvidia-decode-580-server": compute,
        "libnvidia-encode-580-server": f"libnvidia-decode-580-server (= {version}{revision})",
        "nvidia-headless-no-dkms-580-server-open": f"{compute}, nvidia-compute-utils-580-server",
        "nvidia-headless-no-dkms-580-server": f"{compute}, nvidia-compute-utils-580-server",
    }
    return tuple(StandIn(name, version + revision, depends=depends) for name, depends in needs.items())
