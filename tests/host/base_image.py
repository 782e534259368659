"""The root file system every throwaway host starts from: a bare minimal Debian server, built once and cached.

There is no Python in it (pyinfra needs none on a host, and a bare host may have none), no Podman and no
nftables, no package lists, and apt knows the component `main` only: what the roles need, they have to bring.
What it has beyond Debian's own minimal system is named in `_INCLUDE`; what differs from a server that the
Debian installer made is in `_FILES` and `_SETTLE`, with the reason.
"""

import hashlib
import json
import sys
from pathlib import Path

from labctl.errors import BadInput
from tests.host.apt_sources import Archive, machine_archive
from tests.host.cache import Cache
from tests.host.cached_folder import CachedFolder, hold
from tests.host.commands import run

SUITES = ("trixie", "bookworm")
USER = "lab"
_REFRESH_AFTER_DAYS = 7
_INCLUDE = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "openssh-server",
    "pciutils",
    "sudo",
    "systemd",
    "systemd-sysv",
)
# No fsync for every file of a package: the guest's disk is thrown away, and a power cut here loses no page cache.
# No manuals and translations: nobody reads them, and they are a third of everything unpacked.
_DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
_FILES = {
    "etc/dpkg/dpkg.cfg.d/throwaway-host": "\n".join(_DPKG_OPTIONS) + "\n",
    # The controllers of cgroup v2 are not delegated to the guest where the machine uses v1 beside it.
    "etc/containers/containers.conf.d/50-throwaway-host.conf": "[containers]\npids_limit = 0\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
    # No DSA, RSA and ECDSA keys to make: the harness writes one ed25519 key per host.
    "etc/ssh/sshd_config.d/throwaway-host.conf": "HostKey /etc/ssh/ssh_host_ed25519_key\n",
}
_MMDEBSTRAP_LEAVES = (
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/apt/sources.list",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "etc/hostname",
    "etc/resolv.conf",
)
# Runs in the new root file system. The first boot of an installed server has happened before anyone deploys to
# it: its catalogue, caches and stamps are in place. Getty has no console to sit on.
_SETTLE = f"""
set -eu
useradd --create-home --shell /bin/bash {USER}
install -d -m 700 -o {USER} -g {USER} /home/{USER}/.ssh
chmod 0440 /etc/sudoers.d/{USER}
rm -f /etc/ssh/ssh_host_*
systemctl --quiet enable systemd-networkd.service
systemctl --quiet mask console-getty.service getty@.service
systemctl --quiet disable systemd-networkd-wait-online.service
update-ca-certificates >/dev/null 2>&1
journalctl --update-catalog
ldconfig
apt-get clean
rm -rf /var/lib/apt/lists/* /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log
touch /etc/.updated /var/.updated
"""


def hold_base_image(cache: Cache, suite: str) -> CachedFolder:
    """The base image of `suite`: its root file system is `root` in the folder returned.

    Built when missing, when its recipe changed, and when it is a week old. Raises `BadInput` for a suite we do not
    know and `Failed` when it cannot be built.
    """
    if suite not in SUITES:
        raise BadInput("unknown suite", found=suite, expected=" or ".join(SUITES))
    archive = machine_archive()
    return hold(
        cache.bases,
        suite,
        recipe_hash(archive, suite),
        lambda folder: _build(folder / "root", archive, suite),
        refresh_after_days=_REFRESH_AFTER_DAYS,
    )


def recipe_hash(archive: Archive, suite: str) -> str:
    """Ten hex digits that change when the base image would come out different."""
    recipe = [suite, _INCLUDE, _DPKG_OPTIONS, _MMDEBSTRAP_LEAVES, _files(archive, suite), _SETTLE]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:10]


def _build(root: Path, archive: Archive, suite: str) -> None:
    print(f"tests.host: building the {suite} base image (once, about half a minute)", file=sys.stderr)
    settings = [option for line in archive.apt_settings for option in ("--aptopt", line)]
    # In namespaces of its own: mmdebstrap mounts /proc and others in the tree, and may be killed.
    run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        + ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", *settings]
        + [f"--dpkgopt={option}" for option in _DPKG_OPTIONS]
        + ["--include", ",".join(_INCLUDE), suite, str(root), "-"],
        input_text=archive.one_line(suite),
    )
    for leftover in _MMDEBSTRAP_LEAVES:
        (root / leftover).unlink(missing_ok=True)
    for path, content in _files(archive, suite).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
        (root / path).chmod(0o644)
    run(["chroot", str(root), "/bin/sh", "-c", _SETTLE])


def _files(archive: Archive, suite: str) -> dict[str, str]:
    """Path below the root → content of every file written over what mmdebstrap made."""
    files = dict(_FILES)
    if suite == "bookworm":
        files["etc/apt/sources.list"] = archive.one_line(suite)
    else:
        files["etc/apt/sources.list.d/debian.sources"] = archive.deb822(suite)
    # Package lists without translated descriptions: a third of the download, and nobody reads them.
    settings = ('Acquire::Languages "none";', *archive.apt_settings)
    files["etc/apt/apt.conf.d/99throwaway-host"] = "\n".join(settings) + "\n"
    # A machine behind an intercepting proxy trusts its authority; so do its guests.
    for certificate in sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt")):
        files[str(certificate).lstrip("/")] = certificate.read_text()
    return files
