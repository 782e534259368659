"""A signed apt repository on a host's own disk, with packages that stand in for those that cannot be fetched here."""

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost

STAND_IN = "STAND-IN for tests, not the vendor's"
FOLDER = "usr/local/share/stand-in"


@dataclass(frozen=True)
class StandIn:
    """A package. files: path → content, each executable. scripts: maintainer scripts by name, as `postinst`.

    relations: more fields of its control file, as `Conflicts`.
    """

    name: str
    version: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    depends: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)
    relations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StandInRepository:
    """Where it is, as the settings of a role say it."""

    url: str
    key_url: str
    fingerprint: str

    @property
    def settings(self) -> dict[str, str]:
        """For an inventory."""
        return {"url": self.url, "key_url": self.key_url, "fingerprint": self.fingerprint}


def publish(
    host: ThrowawayHost, label: str, *packages: StandIn, sha1_bound: bool = False
) -> StandInRepository:
    """Build, index, sign, and put it on the host's disk. sha1_bound: by a key whose own signature is one of SHA-1."""
    with tempfile.TemporaryDirectory(prefix="si-") as name:
        folder = Path(name)
        index = "\n".join(build_package(package, folder) for package in packages)
        key = sign_release(
            folder,
            f"Origin: {STAND_IN}\nLabel: {label}\nSuite: stand-in\nArchitectures: amd64\n",
            {"Packages": index},
            sha1_bound=sha1_bound,
        )
        path = f"{FOLDER}/{label}"
        write(host, f"{path}/Packages", index)
        for file in (*folder.glob("*.deb"), folder / "InRelease", folder / "key.asc"):
            write(host, f"{path}/{file.name}", file.read_bytes())
    return StandInRepository(f"file:/{path}/", f"file:///{path}/key.asc", key)


def offer(host: ThrowawayHost, label: str, *packages: StandIn) -> None:
    """Add packages to what the host's own archive offers, as though they had always been there."""
    published = publish(host, label, *packages)
    write(
        host,
        f"etc/apt/sources.list.d/stand-in-{label}.sources",
        f"Types: deb\nURIs: {published.url}\nSuites: ./\nSigned-By: {published.key_url.removeprefix('file://')}\n",
    )


def build_package(package: StandIn, folder: Path, pool: str = ".") -> str:
    """Build it into `folder`; returns its stanza for an index that is read from where `pool` is."""
    tree = folder / f"{package.name}_{package.version}"
    control = (
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: amd64\n"
        f"Maintainer: nobody <nobody@invalid>\nDescription: {STAND_IN}\n"
        + (f"Depends: {package.depends}\n" if package.depends else "")
        + "".join(f"{name}: {value}\n" for name, value in package.relations.items())
    )
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(control)
    scripts = {f"DEBIAN/{name}": content for name, content in package.scripts.items()}
    for path, content in (*package.files.items(), *scripts.items()):
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o755)
    for each in (tree, *tree.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    deb = folder / f"{package.name}_{package.version}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)], check=True, capture_output=True
    )
    built = deb.read_bytes()
    return f"{control}Filename: {pool}/{deb.name}\nSize: {len(built)}\nSHA256: {_sha256(built)}\n"


def sign_release(folder: Path, fields: str, indexes: Mapping[str, str], *, sha1_bound: bool = False) -> str:
    """Write and sign the Release of `indexes`, path → content, with a key that nobody keeps; returns its fingerprint.

    It is InRelease in `folder`, and the key is key.asc.
    """
    sums = "".join(
        f" {_sha256(each.encode())} {len(each.encode())} {path}\n" for path, each in indexes.items()
    )
    (folder / "Release").write_text(f"{fields}Date: {formatdate(usegmt=True)}\nSHA256:\n{sums}")
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--batch",
        "--quiet",
        "--homedir",
        str(home),
        "--passphrase",
        "",
        "--pinentry-mode",
        "loopback",
    ]
    # As old as the keys that were made so: an algorithm of its time, and the hash that apt's sqv no longer takes.
    kind, bound_by = ("rsa2048", "SHA1") if sha1_bound else ("ed25519", "SHA512")
    try:
        who = "stand-in <nobody@invalid>"
        _run([*gpg, "--cert-digest-algo", bound_by, "--quick-generate-key", who, kind, "sign", "never"])
        _run(
            [
                *gpg,
                "--digest-algo",
                "SHA512",
                "--clearsign",
                "-o",
                str(folder / "InRelease"),
                str(folder / "Release"),
            ]
        )
        (folder / "key.asc").write_text(_run([*gpg, "--armor", "--export"]))
        listed = _run([*gpg, "--with-colons", "--list-keys"])
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# What nvidia-ctk would write of the cards that nvidia-smi lists, by UUID: a node for each, what all of them share, the
# driver's files as mounts, and the hook that tells the container's linker of them. The simulated driver's own state
# comes along. Where the driver's libraries are stand-ins without content, the version stands in the environment.
NVIDIA_CTK = r"""#!/bin/sh
# STAND-IN for nvidia-ctk: `cdi generate --device-name-strategy=uuid --output=FILE`, which gives up as it does when a
# card is lost, unless it is told which to describe; and `system create-device-nodes --control-devices`.
if [ "$*" = "system create-device-nodes --control-devices" ]; then
  major=$(awk '$2 == "nvidia-uvm" { print $1; exit }' /proc/devices)
  [ -n "$major" ] || { echo "stand-in: failed to determine major: invalid device node" >&2; exit 1; }
  [ -e /dev/nvidia-uvm ] || mknod -m 666 /dev/nvidia-uvm c "$major" 0 || exit 1
  [ -e /dev/nvidia-uvm-tools ] || mknod -m 666 /dev/nvidia-uvm-tools c "$major" 1
  exit
fi
[ "$1 $2 $3" = "cdi generate --device-name-strategy=uuid" ] || { echo "stand-in: cannot $*" >&2; exit 2; }
version=$(grep -oE '[0-9]{3}\.[0-9.]+' /proc/driver/nvidia/version | head -n 1)
cards=$(printf %s "${NVIDIA_CTK_CDI_GENERATE_DEVICE_IDS:-}" | tr , ' ')
if [ -z "$cards" ]; then
  listed=$(nvidia-smi -L) || { echo "stand-in: error visiting device: error getting device handle" >&2; exit 1; }
  cards=$(printf %s "$listed" | grep -oE 'GPU-[0-9a-f-]+')
fi
management=$(ldconfig -p | sed -n 's/.*libnvidia-ml\.so\.1 .* => //p' | head -n 1)
cuda=$(find /usr/lib -name "libcuda.so.$version" | head -n 1)
nodes() { [ $# = 0 ] || printf '    deviceNodes:\n'; for n; do printf -- '    - path: /dev/nvidia%s\n' "$n"; done; }
device() { name=$1; shift; printf -- '- name: %s\n  containerEdits:\n' "$name"; nodes "$@"; }
{
  printf 'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n'
  all=
  for card in $cards; do
    number=0
    until [ "$(nvidia-smi -i $number --query-gpu=uuid --format=csv,noheader)" = "$card" ]; do
      number=$((number + 1))
      [ $number -lt 32 ] || exit 1
    done
    device "$card" "$number"; all="$all $number"
  done
  device all $all
  printf 'containerEdits:\n  deviceNodes:\n'
  for n in nvidiactl nvidia-uvm nvidia-uvm-tools; do [ ! -c /dev/$n ] || printf -- '  - path: /dev/%s\n' "$n"; done
  printf '  env:\n  - NVIDIA_VISIBLE_DEVICES=void\n'
  [ -n "$cuda" ] || printf '  - SIMULATED_LIBRARY=libcuda.so.%s\n' "$version"
  printf '  hooks:\n  - hookName: createContainer\n    path: /usr/bin/nvidia-cdi-hook\n'
  printf '    args: [nvidia-cdi-hook, update-ldcache, --folder, %s]\n  mounts:\n' "${management%/*}"
  for file in "$management" $cuda /usr/bin/nvidia-smi /etc/simulated-nvml; do
    printf -- '  - hostPath: %s\n    containerPath: %s\n    options: [ro, nosuid, nodev, rbind, rprivate]\n' \
      "$file" "$file"
  done
} >"${4#--output=}"
"""
NVIDIA_CDI_HOOK = """#!/usr/bin/python3
# STAND-IN for nvidia-cdi-hook: `update-ldcache --folder FOLDER` alone.
import json, os, subprocess, sys
if sys.argv[1:3] != ["update-ldcache", "--folder"]:
    sys.exit(f"stand-in: cannot {sys.argv[1:]}")
bundle = json.load(sys.stdin)["bundle"]
with open(os.path.join(bundle, "config.json")) as file:
    root = os.path.join(bundle, json.load(file)["root"]["path"])
sys.exit(subprocess.call(["/sbin/ldconfig", "-r", root, sys.argv[3]], stderr=subprocess.DEVNULL))
"""
TOOLKIT = StandIn(
    "nvidia-container-toolkit-base",
    "1.19.0-1",
    {"usr/bin/nvidia-ctk": NVIDIA_CTK, "usr/bin/nvidia-cdi-hook": NVIDIA_CDI_HOOK},
)
